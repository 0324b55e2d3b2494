//! Calls, as far as a gateway hears of them: a phone rings, and stops.

use rand::RngExt as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::MessageError;
use crate::sandbox::network::Network;

impl Network {
    /// A phone calls somebody; the call's id. Nobody can take it: there is no sound on this network.
    pub(in crate::sandbox) fn call(&self, from: &str, to: &str, is_video: bool) -> Result<String, MessageError> {
        let call = format!("{:032X}", self.rng().random::<u128>());
        let media = if is_video { "video" } else { "audio" };
        self.signal_call(from, to, &call, "offer", vec![NodeBuilder::new(media).build()])?;
        Ok(call)
    }

    /// A phone hangs up before anybody took its call.
    pub(in crate::sandbox) fn hang_up(&self, from: &str, to: &str, call: &str) -> Result<(), MessageError> {
        self.signal_call(from, to, call, "terminate", Vec::new())
    }

    fn signal_call(
        &self,
        from: &str,
        to: &str,
        call: &str,
        action: &'static str,
        children: Vec<Node>,
    ) -> Result<(), MessageError> {
        let caller = self.account(from).ok_or(MessageError::NoPhone)?;
        let called = self.account(to).ok_or(MessageError::NoRecipient)?;
        let caller = caller.jid();
        let action = NodeBuilder::new(action).attr("call-id", call).attr("call-creator", caller.clone());
        let id = format!("{:X}", self.rng().random::<u64>());
        let stanza = NodeBuilder::new("call")
            .attr("from", caller)
            .attr("id", id)
            .attr("t", self.clock.now().timestamp().to_string())
            .children([action.children(children).build()])
            .build();
        for device in self.devices_of(&called.number) {
            self.pass(&device, stanza.clone());
        }
        Ok(())
    }
}
