//! Messages that WhatsApp sends again, that were decrypted before, and that nobody took in.
//!
//! The library saves all ratchets together, now and then. A crash right after it saved the one of a message whose copy was
//! not stored yet leaves neither a copy nor a way to decrypt what WhatsApp sends again: the library takes it for a
//! repetition. Nobody but us knows that it was never taken in. So its sender is asked for it once more, as for any message
//! that cannot be read, and it is told as lost if it does not come. Until one of the two is stored it is not acknowledged,
//! and asked for again on each connection.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::{info, warn};
use wacore::messages::parse_message_info;
use wacore::types::message::MessageInfo;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use whatsapp_rust::Client;
use whatsapp_rust::features::RetryRequestOptions;

use crate::engine::whatsapp::backend::Missing;

use super::Inbox;

impl Inbox {
    /// Asks for the message again; what is known of it, to be told if it does not come.
    pub(super) async fn ask_for(&self, client: &Arc<Client>, missing: &Missing) -> Option<MessageInfo> {
        let stanza = stanza(client, missing, self.clock.now())?;
        let stanza = stanza.as_node_ref();
        let asked = client.request_message_retry(&stanza, RetryRequestOptions::new()).await;
        if asked.is_ok() {
            info!(instance.id = %self.id, "a message that was lost in a crash was asked for again");
        } else {
            // The library's words quote the stanza.
            warn!(instance.id = %self.id, "a message that was lost in a crash could not be asked for again");
        }
        parse_message_info(&stanza, &client.pn()?, client.lid().as_ref()).ok()
    }
}

/// The stanza it came in, as far as it matters: the library asks for messages by their stanzas.
fn stanza(client: &Client, missing: &Missing, now: DateTime<Utc>) -> Option<Node> {
    let (chat, sender): (Jid, Jid) = (missing.chat.parse().ok()?, missing.sender.parse().ok()?);
    let message = NodeBuilder::new("message")
        .attr("id", missing.id.as_str())
        .attr("type", "text")
        .attr("t", now.timestamp().to_string());
    let own = [client.pn(), client.lid()].into_iter().flatten().any(|own| own.user == sender.user);
    Some(if chat.is_group() {
        message.attr("from", chat).attr("participant", sender).build()
    } else if own {
        message.attr("from", sender).attr("recipient", chat).build()
    } else {
        message.attr("from", sender).build()
    })
}
