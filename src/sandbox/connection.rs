//! One client's connection, from the WebSocket to its end.
//!
//! The task owns the socket; everybody else tells it what to do over its command channel. It holds no state that
//! outlives the connection: that is the network's.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_websockets::WebSocketStream;
use tracing::debug;
use wacore::libsignal::protocol::{KeyPair, SignalProtocolError};
use wacore_binary::{Node, OwnedNodeRef};

use super::answers::{Effect, Facts, answer};
use super::bootstrap;
use super::device::{Device, DeviceId, Registration};
use super::fault::{FaultKind, Strike};
use super::messages::Acknowledgement;
use super::network::{Command, End, LinkRequest, Network, Refusal, ScanError, Socket};
use super::noise::{Established, Hello, NoiseError, answer_hello};
use super::phone::Phone;
use super::stanza;
use super::stranger::Stranger;
use super::wire::{NodeStream, Wire, WireError};

/// A client that has not finished its handshake by then is cut off.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that was told goodbye is given this long to go by itself.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between a device's proof and the demand to connect again. WhatsApp takes its time too, and a client that is told
/// within a few milliseconds trips: it still has to note that it expects to be disconnected, notes it about the
/// connection after, and gives that one up (seen in one pairing of eight with whatsapp-rust 0.7.0).
const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// How long the phone's owner takes to go on with a passkey.
const PHONE_PAUSE: Duration = Duration::from_secs(1);
/// The pause begins with the session note that the client sends at the same instant, if it comes within this time, so
/// that a busy machine's clients get theirs too.
const SESSION_NOTE_TIMEOUT: Duration = Duration::from_millis(800);

/// Why a connection broke.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the connection broke")]
    Wire(#[from] WireError),
    #[error("the handshake failed")]
    Noise(#[from] NoiseError),
    #[error("the handshake took too long")]
    HandshakeTimeout,
    #[error("the client is neither linked nor says what it would be")]
    NoRegistration,
    #[error("the key share could not be encrypted")]
    KeyShare(#[from] SignalProtocolError),
}

type Result<T> = std::result::Result<T, ConnectionError>;

/// What woke a connection's task.
enum Wake {
    Node(OwnedNodeRef),
    Command(Command),
    Rotation,
    /// The rotation's speed or the faults have changed, or something is due: look again.
    Look,
    /// There is something in the device's mailbox.
    Mail,
    Over,
}

/// What is known of a device's connection while it lasts.
#[derive(Default)]
struct DeviceSession {
    /// The id of the app-state key's message, until the device has confirmed it.
    key_share: Option<String>,
    /// Whether the device wants what comes.
    is_active: bool,
    /// Acknowledgements that a fault holds back, and when they are due; the next first.
    late: Vec<(DateTime<Utc>, Node)>,
}

/// The task of one connection.
pub(super) struct Connection {
    network: Arc<Network>,
    socket: Socket,
    faults: watch::Receiver<u64>,
    factor: watch::Receiver<f64>,
}

impl Connection {
    /// A connection of `network` that ends with `token`.
    pub(super) fn new(network: Arc<Network>, token: &CancellationToken) -> Self {
        let socket = network.open_socket(token);
        let faults = network.faults_changed.subscribe();
        let factor = network.factor.subscribe();
        Self { network, socket, faults, factor }
    }

    /// Serves the client until it goes or is sent away.
    pub(super) async fn run(mut self, socket: WebSocketStream<TcpStream>) {
        let cut = self.socket.cut.clone();
        let served = cut.run_until_cancelled(self.serve(Wire::new(socket))).await;
        match served {
            Some(Ok(())) => debug!("a client's connection ended"),
            Some(Err(error)) => debug!(error = &error as &dyn std::error::Error, "a client's connection broke"),
            None => debug!("a client's connection was cut"),
        }
    }

    async fn serve(&mut self, mut wire: Wire) -> Result<()> {
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(&self.network, &mut wire));
        let Some(established) = handshake.await.map_err(|_| ConnectionError::HandshakeTimeout)?? else {
            return Ok(());
        };
        let Established { payload, client_key, read, write } = established;
        let nodes = NodeStream::new(wire, read, write);
        let device = payload.username.zip(payload.device).and_then(|(number, device)| {
            Some(DeviceId { number: number.to_string(), device: u16::try_from(device).ok()? })
        });
        if let Some(device) = device {
            return self.serve_device(nodes, &device, &client_key).await;
        }
        let registration = Registration::from_payload(&payload).ok_or(ConnectionError::NoRegistration)?;
        self.serve_stranger(nodes, client_key, registration).await
    }

    /// Serves a client that is not linked: offers it references until a phone scans one.
    async fn serve_stranger(
        &mut self,
        mut nodes: NodeStream,
        noise_key: [u8; 32],
        registration: Registration,
    ) -> Result<()> {
        if let Some(refusal) = self.network.refusal(None) {
            return refuse(&mut nodes, refusal).await;
        }
        let mut serial = 0_u32;
        let mut next_id = move || {
            serial += 1;
            format!("sandbox-{serial}")
        };
        if !self.is_let_speak(&mut nodes).await? {
            return Ok(());
        }
        let mut withheld = self.network.strike_stranger(&[FaultKind::NoCode]);
        if withheld.is_none() {
            let references = self.network.start_round(self.socket.id, noise_key, registration.clone());
            self.say(&mut nodes, &stanza::pair_device(&next_id(), &references)).await?;
        }
        let mut linking: Option<(String, Box<LinkRequest>)> = None;
        let mut stranger = Stranger::new(self.socket.id, noise_key, registration.identity_key);
        loop {
            match self.wake(&mut nodes, true, withheld.and_then(|strike| strike.until)).await? {
                Wake::Over => return Ok(()),
                Wake::Mail => {}
                Wake::Look => {
                    if withheld.is_some_and(|strike| !self.network.is_fault_active(strike.id)) {
                        withheld = None;
                        let references = self.network.start_round(self.socket.id, noise_key, registration.clone());
                        self.say(&mut nodes, &stanza::pair_device(&next_id(), &references)).await?;
                    }
                }
                Wake::Rotation => {
                    if let Some(remaining) = self.network.rotate(self.socket.id) {
                        self.say(&mut nodes, &stanza::pair_device(&next_id(), &remaining)).await?;
                    }
                }
                Wake::Command(Command::Type(request)) => {
                    let node = stranger.typed(&self.network, request);
                    self.say(&mut nodes, &node).await?;
                }
                Wake::Command(Command::Link(request)) => {
                    if self.network.strike_stranger(&[FaultKind::Passkey]).is_some() {
                        let node = stranger.ask_passkey(&self.network, request);
                        self.say(&mut nodes, &node).await?;
                        continue;
                    }
                    linking = Some(self.offer(&mut nodes, next_id(), request).await?);
                }
                Wake::Command(Command::Probe(answer)) => {
                    let _ = answer.send(!nodes.is_gone().await);
                }
                Wake::Command(Command::End(end)) => return self.end(&mut nodes, end).await,
                Wake::Node(node) => {
                    let answers_link = linking.as_ref().is_some_and(|(id, _)| {
                        node.tag() == "iq" && node.get_attr("id").is_some_and(|answered| answered.as_str() == *id)
                    });
                    let Some((_, request)) = linking.take_if(|_| answers_link) else {
                        let reply = stranger.answer(&self.network, node.get());
                        for node in &reply.nodes {
                            self.say(&mut nodes, node).await?;
                        }
                        if let Some(node) = reply.phone {
                            // A person is not faster; a client notes what it opened only once it has read the answer.
                            tokio::time::sleep(PHONE_PAUSE).await;
                            self.say(&mut nodes, &node).await?;
                        }
                        if let Some(request) = reply.link {
                            // A client notes the new secret only once it has read the answer before.
                            tokio::time::sleep(RESTART_PAUSE).await;
                            linking = Some(self.offer(&mut nodes, next_id(), request).await?);
                        }
                        continue;
                    };
                    if self.conclude(&node, *request) {
                        let _ = tokio::time::timeout(SESSION_NOTE_TIMEOUT, nodes.next()).await;
                        if !leaves_within(&mut nodes, RESTART_PAUSE).await {
                            nodes.send(&stanza::restart()).await?;
                        }
                        return part(&mut nodes).await;
                    }
                    // A client that reports an error goes on showing codes; one whose proof was not taken believes
                    // that it is linked, and must find out.
                    if node.get_attr("type").is_none_or(|kind| kind.as_str() != "error") {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Tells a client that it is linked, if it can prove its side; its answer carries this id.
    async fn offer(
        &self,
        nodes: &mut NodeStream,
        id: String,
        request: Box<LinkRequest>,
    ) -> Result<(String, Box<LinkRequest>)> {
        let node = stanza::pair_success(&id, &request, self.network.now().timestamp());
        self.say(nodes, &node).await?;
        Ok((id, request))
    }

    /// Ends a link with the device's answer. True if the device is linked now.
    fn conclude(&self, answer: &OwnedNodeRef, request: LinkRequest) -> bool {
        let LinkRequest { phone, device, outcome, .. } = request;
        let is_proven = stanza::signed_identity(answer.get())
            .is_some_and(|signed| phone.verify_device(&device.registration.identity_key, &device.details, signed));
        // A phone that has given up does not list the device.
        let is_linked = is_proven && outcome.as_ref().is_none_or(|outcome| !outcome.is_closed());
        let id = device.id.clone();
        if is_linked {
            if let Some(signed) = stanza::signed_identity(answer.get()) {
                self.network.note_identity(&device.id, signed);
            }
            self.network.link(device);
        }
        if let Some(outcome) = outcome {
            let _ = outcome.send(if is_linked { Ok(id) } else { Err(ScanError::Refused) });
        }
        is_linked
    }

    /// Serves a device that logs in.
    async fn serve_device(&mut self, mut nodes: NodeStream, id: &DeviceId, noise_key: &[u8; 32]) -> Result<()> {
        if !self.network.authenticate(id, noise_key) {
            return refuse(&mut nodes, Refusal::Unknown).await;
        }
        self.network.identify(self.socket.id, id);
        if let Some(refusal) = self.network.refusal(Some(id)) {
            return refuse(&mut nodes, refusal).await;
        }
        if !self.is_let_speak(&mut nodes).await? {
            return Ok(());
        }
        if !self.network.log_in(self.socket.id, id).await {
            return refuse(&mut nodes, Refusal::Unknown).await;
        }
        let Some((phone, device)) = self.network.device(id) else {
            return refuse(&mut nodes, Refusal::Unknown).await;
        };
        let seconds = self.network.now().timestamp();
        self.say(&mut nodes, &stanza::success(&phone, &device, seconds)).await?;
        if self.network.is_replaced_at_once(id) {
            return self.end(&mut nodes, End::Replaced).await;
        }
        let mut session = DeviceSession::default();
        loop {
            let due = session.late.first().map(|(due, _)| *due);
            match self.wake(&mut nodes, false, due).await? {
                Wake::Over => return Ok(()),
                Wake::Look | Wake::Mail => self.bring(&mut nodes, id, &mut session).await?,
                Wake::Rotation | Wake::Command(Command::Link(_) | Command::Type(_)) => {}
                Wake::Command(Command::Probe(answer)) => {
                    let _ = answer.send(!nodes.is_gone().await);
                }
                Wake::Command(Command::End(end)) => return self.end(&mut nodes, end).await,
                Wake::Node(node) => {
                    if let Some(end) = self.serve_node(&mut nodes, &phone, id, &node, &mut session).await? {
                        return self.end(&mut nodes, end).await;
                    }
                }
            }
        }
    }

    /// Waits while a fault mutes the connection. False if the connection is over.
    async fn is_let_speak(&mut self, nodes: &mut NodeStream) -> Result<bool> {
        while self.network.mute(self.socket.id).is_some() {
            match self.wake(nodes, false, None).await? {
                Wake::Over => return Ok(false),
                Wake::Command(Command::End(end)) => {
                    self.end(nodes, end).await?;
                    return Ok(false);
                }
                Wake::Node(_) | Wake::Command(_) | Wake::Rotation | Wake::Look | Wake::Mail => {}
            }
        }
        Ok(true)
    }

    /// Answers one stanza of a device; how the connection is to end, if it is.
    async fn serve_node(
        &self,
        nodes: &mut NodeStream,
        phone: &Phone,
        id: &DeviceId,
        node: &OwnedNodeRef,
        session: &mut DeviceSession,
    ) -> Result<Option<End>> {
        let Some((_, device)) = self.network.device(id) else { return Ok(Some(End::Removed)) };
        let stanza = node.get();
        let names_key_share =
            stanza.get_attr("id").is_some_and(|id| Some(id.as_str().as_ref()) == session.key_share.as_deref());
        if names_key_share && matches!(stanza.tag.as_ref(), "receipt" | "ack") {
            session.key_share = None;
            self.network.update_device(id, |device| device.has_app_state_key = true);
        }
        if stanza.tag.as_ref() == "message" {
            self.take_message(nodes, id, &stanza.to_owned(), session).await?;
            return Ok(None);
        }
        if matches!(stanza.tag.as_ref(), "receipt" | "ack" | "chatstate" | "presence") {
            self.network.submit(id, &stanza.to_owned());
        }
        if stanza.get_attr("xmlns").is_some_and(|namespace| namespace.as_str() == "w:g2")
            && let Some(reply) = self.network.answer_about_groups(id, &stanza.to_owned())
        {
            nodes.send(&reply).await?;
            return Ok(None);
        }
        let seconds = self.network.now().timestamp();
        let answer = {
            let facts = Facts {
                device: &device,
                device_list: &|user| self.network.device_list(user),
                account: &|user| self.network.account(user),
                key_bundle: &|jid| self.network.key_bundle(&self.network.device_at(jid)?),
                media: (self.network.media.host(), self.network.media.auth()),
                app_state: &|request| self.network.sync_app_state(id, request),
                picture_url: &|path| self.network.media.url(path),
            };
            answer(stanza, &facts)
        };
        if let Some(reply) = &answer.reply {
            nodes.send(reply).await?;
        }
        match answer.effect {
            Effect::None => {}
            Effect::Active => self.activate(nodes, phone, &device, seconds, session).await?,
            Effect::PreKeys(keys) => self.network.update_device(id, |device| device.add_prekeys(keys)),
            Effect::SignedPreKey(key) => {
                self.network.update_device(id, |device| device.registration.signed_prekey = key);
            }
            Effect::Remove => {
                self.network.forget_device(id);
                return Ok(Some(End::Removed));
            }
        }
        Ok(None)
    }

    /// Takes a message, hands it on, and acknowledges it as well as the faults let it.
    async fn take_message(
        &self,
        nodes: &mut NodeStream,
        id: &DeviceId,
        message: &Node,
        session: &mut DeviceSession,
    ) -> Result<()> {
        let acknowledgement = self.network.acknowledgement(id);
        let now = self.network.now();
        let ack = stanza::message_ack(message, now.timestamp(), None);
        if acknowledgement == Acknowledgement::Refused {
            let refusal = stanza::message_ack(message, now.timestamp(), Some("463"));
            return Ok(nodes.send(&refusal).await?);
        }
        self.network.submit(id, message);
        match acknowledgement {
            Acknowledgement::Now => nodes.send(&ack).await?,
            Acknowledgement::Twice => {
                nodes.send(&ack).await?;
                nodes.send(&ack).await?;
            }
            Acknowledgement::Late(delay) => {
                session.late.push((now + delay, ack));
                session.late.sort_by_key(|(due, _)| *due);
            }
            Acknowledgement::Cut => self.socket.cut.cancel(),
            Acknowledgement::Never | Acknowledgement::Refused => {}
        }
        Ok(())
    }

    /// Sends what is due and what has come for the device, unless a fault mutes the connection.
    async fn bring(&self, nodes: &mut NodeStream, id: &DeviceId, session: &mut DeviceSession) -> Result<()> {
        if self.network.mute(self.socket.id).is_some() {
            return Ok(());
        }
        let now = self.network.now();
        while session.late.first().is_some_and(|(due, _)| *due <= now) {
            let (_, ack) = session.late.remove(0);
            nodes.send(&ack).await?;
        }
        if session.is_active {
            for node in self.network.unsent_mail(id, self.socket.id) {
                nodes.send(&node).await?;
            }
        }
        Ok(())
    }

    /// Gives a device what it missed: the account's app-state key if it lacks it, and its mail.
    async fn activate(
        &self,
        nodes: &mut NodeStream,
        phone: &Phone,
        device: &Device,
        seconds: i64,
        session: &mut DeviceSession,
    ) -> Result<()> {
        if !device.has_app_state_key
            && let Some(messenger) = self.network.messenger(&phone.number)
        {
            let shared = {
                let signal = &mut messenger.lock().signal;
                bootstrap::key_share(phone, device, signal, seconds, &mut self.network.rng())?
            };
            let (id, message) = shared;
            nodes.send(&message).await?;
            session.key_share = Some(id);
        }
        session.is_active = true;
        let missed = self.network.missed_mail(&device.id, self.socket.id);
        if !missed.is_empty() {
            nodes.send(&stanza::offline_preview(&missed)).await?;
        }
        for node in &missed {
            nodes.send(node).await?;
        }
        nodes.send(&stanza::offline_done(missed.len())).await?;
        Ok(())
    }

    /// Sends a node, unless a fault mutes the connection.
    async fn say(&self, nodes: &mut NodeStream, node: &Node) -> Result<()> {
        if self.network.mute(self.socket.id).is_none() {
            nodes.send(node).await?;
        }
        Ok(())
    }

    /// Says the last words and parts.
    async fn end(&self, nodes: &mut NodeStream, end: End) -> Result<()> {
        self.network.end_life(self.socket.id);
        nodes.send(&stanza::end(end)).await?;
        part(nodes).await
    }

    /// Waits for something to do, until `until` at the latest. While a fault mutes the connection, what the client sends
    /// is lost.
    async fn wake(&mut self, nodes: &mut NodeStream, rotates: bool, until: Option<DateTime<Utc>>) -> Result<Wake> {
        loop {
            let mute = self.network.mute(self.socket.id);
            let is_deaf = mute.is_some_and(|strike| strike.kind == FaultKind::HalfOpen);
            let rotation = if rotates { self.network.next_rotation(self.socket.id) } else { None };
            let (network, id) = (Arc::clone(&self.network), self.socket.id);
            let deadline = |at: Option<DateTime<Utc>>| -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                match at {
                    Some(at) => network.clock.sleep_until(at),
                    None => Box::pin(std::future::pending()),
                }
            };
            let unmuted = mute.and_then(|Strike { until, .. }| until);
            let look = unmuted.into_iter().chain(until).min();
            tokio::select! {
                command = self.socket.commands.recv() => {
                    return Ok(command.map_or(Wake::Over, Wake::Command));
                }
                _ = self.faults.changed() => return Ok(Wake::Look),
                _ = self.factor.changed(), if rotates => {}
                () = deadline(rotation) => return Ok(Wake::Rotation),
                () = deadline(look) => return Ok(Wake::Look),
                () = self.socket.mail.notified() => return Ok(Wake::Mail),
                node = nodes.next(), if !is_deaf => match node? {
                    None => {
                        self.network.end_life(self.socket.id);
                        nodes.close().await;
                        return Ok(Wake::Over);
                    }
                    // Asked anew: a fault may have come while we waited.
                    Some(node) if network.mute(id).is_none() => return Ok(Wake::Node(node)),
                    Some(_) => {}
                },
            }
        }
    }
}

async fn handshake(network: &Network, wire: &mut Wire) -> Result<Option<Established>> {
    let Some(frame) = wire.next_frame().await? else { return Ok(None) };
    match answer_hello(&network.server, &frame, KeyPair::generate(&mut network.rng()))? {
        Hello::Established(reply, established) => {
            wire.send_frame(&reply).await?;
            Ok(Some(*established))
        }
        Hello::AwaitFinish(reply, pending) => {
            wire.send_frame(&reply).await?;
            let Some(frame) = wire.next_frame().await? else { return Ok(None) };
            Ok(Some(pending.finish(&frame)?))
        }
    }
}

async fn refuse(nodes: &mut NodeStream, refusal: Refusal) -> Result<()> {
    let Some(failure) = stanza::failure(refusal) else { return Ok(()) };
    nodes.send(&failure).await?;
    part(nodes).await
}

/// Waits for the client to go, as it does after such words, and closes either way.
async fn part(nodes: &mut NodeStream) -> Result<()> {
    leaves_within(nodes, GOODBYE_TIMEOUT).await;
    nodes.close().await;
    Ok(())
}

/// Whether the client goes within this time; what it still sends is not answered.
async fn leaves_within(nodes: &mut NodeStream, time: Duration) -> bool {
    let leaving = async { while let Ok(Some(_)) = nodes.next().await {} };
    tokio::time::timeout(time, leaving).await.is_ok()
}
