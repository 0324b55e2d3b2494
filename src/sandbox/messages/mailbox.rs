//! What waits for a device: stanzas it has not acknowledged, in order, and passing ones that are worth nothing later.
//!
//! A stanza stays until the device acknowledges it. One that was sent on an earlier connection is sent again on the
//! next, which is how WhatsApp's offline queue makes a message arrive at least once.

use std::collections::VecDeque;

use tracing::warn;
use wacore_binary::Node;

use crate::sandbox::network::SocketId;

/// So many stanzas are kept for a device; the oldest make room.
const CAPACITY: usize = 50_000;
/// So many passing stanzas are kept for a device that is slow to take them; the oldest make room.
const PASSING_CAPACITY: usize = 100;

/// A stanza that waits for its acknowledgement.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox) struct Parcel {
    /// The stanza.
    pub(in crate::sandbox) node: Node,
    /// The connection it was last sent on.
    sent_on: Option<SocketId>,
}

/// What waits for a device.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Mailbox {
    parcels: VecDeque<Parcel>,
    passing: VecDeque<Node>,
}

impl Mailbox {
    /// A mailbox with what was kept of it.
    pub(super) fn restore(nodes: impl IntoIterator<Item = Node>) -> Self {
        let parcels = nodes.into_iter().map(|node| Parcel { node, sent_on: None }).collect();
        Self { parcels, passing: VecDeque::new() }
    }

    /// Adds a stanza that must arrive.
    pub(super) fn put(&mut self, node: Node) {
        if self.parcels.len() == CAPACITY {
            warn!("a device of the sandbox takes nothing; what has waited longest for it is thrown away");
            self.parcels.pop_front();
        }
        self.parcels.push_back(Parcel { node, sent_on: None });
    }

    /// Adds a stanza that is for now or never.
    pub(super) fn pass(&mut self, node: Node) {
        if self.passing.len() == PASSING_CAPACITY {
            self.passing.pop_front();
        }
        self.passing.push_back(node);
    }

    /// The device has acknowledged stanzas with this tag and one of these ids. True if one of them was here. Nobody can
    /// acknowledge what was not sent: that is a message sent anew because the device asked for it, under the same id.
    pub(super) fn settle(&mut self, tag: &str, ids: &[String]) -> bool {
        let before = self.parcels.len();
        for id in ids {
            let is_it = |parcel: &Parcel| {
                let named = parcel.node.attrs.get("id");
                parcel.sent_on.is_some()
                    && parcel.node.tag == tag
                    && named.is_some_and(|named| named.as_str() == id.as_str())
            };
            // Acknowledgements come in order, so what they are for stands near the front.
            if let Some(position) = self.parcels.iter().position(is_it) {
                self.parcels.remove(position);
            }
        }
        self.parcels.len() < before
    }

    /// What is to be sent on a connection, in order: everything not sent on it before.
    pub(in crate::sandbox) fn take_unsent(&mut self, socket: SocketId) -> Vec<Node> {
        let unsent = self.parcels.iter_mut().filter(|parcel| parcel.sent_on != Some(socket));
        let parcels = unsent.map(|parcel| {
            parcel.sent_on = Some(socket);
            parcel.node.clone()
        });
        let parcels = parcels.collect::<Vec<_>>();
        parcels.into_iter().chain(self.passing.drain(..)).collect()
    }

    /// Takes the oldest stanza out: a phone acknowledges as it reads.
    pub(super) fn pop(&mut self) -> Option<Node> {
        self.parcels.pop_front().map(|parcel| parcel.node).or_else(|| self.passing.pop_front())
    }

    /// Forgets what is for now or never.
    pub(in crate::sandbox) fn drop_passing(&mut self) {
        self.passing.clear();
    }

    /// What is kept over a restart.
    pub(super) fn parcels(&self) -> impl Iterator<Item = &Node> {
        self.parcels.iter().map(|parcel| &parcel.node)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use tokio_util::sync::CancellationToken;
    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::domain::clock::SystemClock;
    use crate::sandbox::network::Network;
    use crate::sandbox::noise::ServerIdentity;

    fn message(id: &str) -> Node {
        NodeBuilder::new("message").attr("id", id).build()
    }

    fn sockets() -> [SocketId; 2] {
        let mut rng = StdRng::seed_from_u64(1);
        let server = ServerIdentity::generate(&mut rng);
        let network = Arc::new(Network::new(Arc::new(SystemClock), rng, server, []));
        let token = CancellationToken::new();
        [network.open_socket(&token).id, network.open_socket(&token).id]
    }

    #[test]
    fn a_stanza_is_sent_once_on_a_connection_and_again_on_the_next_until_it_is_acknowledged() {
        let [first, second] = sockets();
        let mut mailbox = Mailbox::default();
        mailbox.put(message("A"));
        mailbox.put(message("B"));
        assert_eq!(mailbox.take_unsent(first), [message("A"), message("B")]);
        assert!(mailbox.take_unsent(first).is_empty());
        assert!(mailbox.settle("message", &["A".to_owned()]));
        assert_eq!(mailbox.take_unsent(second), [message("B")]);
    }

    #[test]
    fn an_acknowledgement_of_another_class_settles_nothing() {
        let mut mailbox = Mailbox::default();
        mailbox.put(message("A"));
        assert!(!mailbox.settle("receipt", &["A".to_owned()]));
        assert_eq!(mailbox.pop(), Some(message("A")));
    }

    #[test]
    fn what_passes_is_not_sent_again() {
        let [first, second] = sockets();
        let mut mailbox = Mailbox::default();
        mailbox.pass(message("typing"));
        assert_eq!(mailbox.take_unsent(first), [message("typing")]);
        assert!(mailbox.take_unsent(second).is_empty());
    }
}
