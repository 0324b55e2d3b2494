//! What a client that is not linked says beside showing codes: it asks for one to be typed, or answers for a passkey.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};

use super::network::{LinkRequest, Network, ScanError, SocketId, TypeRequest};
use super::passkey::{Passed, PasskeyLink};
use super::type_code::{self, CompanionFinish, Said};

/// One client's linking, as far as it has come.
pub(super) struct Stranger {
    socket: SocketId,
    noise_key: [u8; 32],
    identity_key: [u8; 32],
    typed: Option<Box<TypeRequest>>,
    passkey: Option<PasskeyLink>,
    serial: u32,
}

/// What is said back, and what begins after it.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) nodes: Vec<Node>,
    /// What the phone says once its owner has looked at it.
    pub(super) phone: Option<Box<Node>>,
    pub(super) link: Option<Box<LinkRequest>>,
}

impl Reply {
    fn of(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self { nodes: nodes.into_iter().collect(), ..Self::default() }
    }
}

impl Stranger {
    /// The client of a socket, by its keys.
    pub(super) fn new(socket: SocketId, noise_key: [u8; 32], identity_key: [u8; 32]) -> Self {
        Self { socket, noise_key, identity_key, typed: None, passkey: None, serial: 0 }
    }

    /// A code was typed: the client learns of it.
    pub(super) fn typed(&mut self, network: &Network, request: Box<TypeRequest>) -> Node {
        let id = self.next_id();
        let node = request.typed.primary_hello(&id, network.now().timestamp());
        // One typed before is given up: the phone hears that the code has expired.
        self.typed = Some(request);
        node
    }

    /// A code was scanned, and a passkey is asked for before it links. The phone is told that the rest is not its matter.
    pub(super) fn ask_passkey(&mut self, network: &Network, mut request: Box<LinkRequest>) -> Node {
        if let Some(outcome) = request.outcome.take() {
            let _ = outcome.send(Ok(request.device.id.clone()));
        }
        let passkey = PasskeyLink::new(request, &mut network.rng());
        let node = passkey.ask(&self.next_id(), network.now().timestamp());
        self.passkey = Some(passkey);
        node
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, network: &Network, request: &NodeRef<'_>) -> Reply {
        let text = |name| request.get_attr(name).map(|value| value.as_str().into_owned()).unwrap_or_default();
        let is_request = request.tag.as_ref() == "iq" && matches!(text("type").as_str(), "get" | "set");
        if !is_request {
            return Reply::default();
        }
        let id = text("id");
        match type_code::read(request) {
            Some(Said::Hello(hello)) => {
                return match network.ask_for_code(self.socket, &self.noise_key, hello) {
                    Some(reference) => Reply::of([result(&id, Some(type_code::reference(&reference)))]),
                    None => Reply::of([refusal(&id)]),
                };
            }
            Some(Said::Finish(finish)) => return self.finish(network, &id, &finish),
            Some(Said::Malformed) => return Reply::of([refusal(&id)]),
            None => {}
        }
        let (own_id, now) = (self.next_id(), network.now().timestamp());
        match self.passkey.as_mut().and_then(|passkey| passkey.take(request, &own_id, now)) {
            Some(Passed::Answer(child, phone)) => Reply { phone, ..Reply::of([result(&id, child.map(|node| *node))]) },
            Some(Passed::Refused) => Reply::of([refusal(&id)]),
            Some(Passed::Secret(secret)) => {
                let link = self.passkey.take().and_then(|passkey| passkey.into_request(&secret, &mut network.rng()));
                Reply { link, ..Reply::of([result(&id, None)]) }
            }
            // A sign of life.
            None if text("xmlns") == "w:p" => Reply::of([result(&id, None)]),
            None => Reply::default(),
        }
    }

    /// The client's keys are there. Whether the typed code was the right one shows here, and only to the phone.
    fn finish(&mut self, network: &Network, id: &str, finish: &CompanionFinish) -> Reply {
        let Some(request) = self.typed.take() else { return Reply::of([refusal(id)]) };
        let TypeRequest { typed, outcome } = *request;
        let nodes = [result(id, None)];
        let Some(secret) = typed.open(finish, &self.identity_key) else {
            let _ = outcome.send(Err(ScanError::Unknown));
            return Reply::of(nodes);
        };
        network.use_code(typed.number());
        let link = network.link_request(self.socket, typed.number(), &secret, outcome).map(Box::new);
        Reply { link, ..Reply::of(nodes) }
    }

    fn next_id(&mut self) -> String {
        self.serial += 1;
        format!("sandbox-link-{}", self.serial)
    }
}

fn result(id: &str, child: Option<Node>) -> Node {
    let node = NodeBuilder::new("iq").attr("from", SERVER_JID).attr("type", "result").attr("id", id);
    match child {
        Some(child) => node.children([child]).build(),
        None => node.build(),
    }
}

fn refusal(id: &str) -> Node {
    let error = NodeBuilder::new("error").attr("code", "400").attr("text", "bad-request").build();
    NodeBuilder::new("iq").attr("from", SERVER_JID).attr("type", "error").attr("id", id).children([error]).build()
}
