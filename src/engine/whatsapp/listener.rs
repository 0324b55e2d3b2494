//! What one run's client says, in the engine's words.
//!
//! The library dispatches its events synchronously, and what it does next may depend on a switch (reconnect or not)
//! that is read right after: so the switch is turned here, in the handler, and the events go on through a queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::warn;
use wacore::store::commands::DeviceCommand;
use wacore::types::events::{ConnectFailureReason, Event, EventHandler, EventInterest, EventKind};
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::passkey::parse_request_options;

use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrValue;
use crate::engine::EngineEvent;

use super::inbox::SIGNALS;
use super::outgoing::{Ack, Acks};
use super::runtime::RunRuntime;
use super::version::Versions;

/// A run says about a dozen things; a queue this long fills only when nobody listens.
const QUEUE: usize = 64;

/// Restarts of the connection that a pairing may take. WhatsApp asks for one; the library can take that one for its own
/// when it comes fast (it sets its "a disconnect is expected" late), closes the new connection and needs another.
const PAIRING_RESTARTS: u32 = 2;

const KINDS: &[EventKind] = &[
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::QrScannedWithoutMultidevice,
    EventKind::PairSuccess,
    EventKind::PairError,
    EventKind::PairingCodeRefresh,
    EventKind::PairingCodeError,
    EventKind::PairPasskeyRequest,
    EventKind::PairPasskeyConfirmation,
    EventKind::PairPasskeyError,
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::LoggedOut,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ConnectFailure,
    EventKind::ClientOutdated,
    EventKind::Messages,
    EventKind::Receipt,
    EventKind::ServerAck,
    EventKind::UndecryptableMessage,
    EventKind::ChatPresence,
    EventKind::Presence,
    EventKind::GroupUpdate,
    EventKind::IncomingCall,
    EventKind::MissedCall,
    EventKind::CallEndedElsewhere,
];

/// What a listener passes on.
pub(super) struct Said {
    /// What becomes of the run.
    pub(super) events: mpsc::Receiver<EngineEvent>,
    /// What others do, past the durability hook.
    pub(super) signals: mpsc::Receiver<Arc<Event>>,
}

/// Hears one run's client.
pub(super) struct Listener {
    instance_id: InstanceId,
    /// Stands in for a push name that is not known yet, and is never told as one.
    placeholder_name: String,
    clock: Arc<dyn Clock>,
    versions: Arc<Versions>,
    runtime: RunRuntime,
    queue: mpsc::Sender<EngineEvent>,
    /// `None` once there is nothing more to pass on.
    signals: Mutex<Option<mpsc::Sender<Arc<Event>>>>,
    client: OnceLock<Attached>,
    state: Mutex<State>,
    acks: Acks,
}

struct Attached {
    client: Weak<Client>,
    reconnects: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// The run was told to end: it has nothing more to say.
    muted: bool,
    /// Something was said after which the run is over.
    over: bool,
    logged_out: bool,
    transport_is_up: bool,
    /// The client said something over the connection it has: the handshake is behind it.
    heard: bool,
    transport_error: Option<String>,
    restarts_left: u32,
    reference: Option<String>,
    attempt: u32,
    signals_dropped: bool,
}

impl Listener {
    /// A listener and what it passes on.
    pub(super) fn new(
        instance_id: InstanceId,
        placeholder_name: String,
        clock: Arc<dyn Clock>,
        versions: Arc<Versions>,
        runtime: RunRuntime,
    ) -> (Arc<Self>, Said) {
        let (queue, events) = mpsc::channel(QUEUE);
        let (signals_in, signals) = mpsc::channel(SIGNALS);
        let (client, state, acks) = (OnceLock::new(), Mutex::default(), Acks::default());
        let listener = Self {
            instance_id,
            placeholder_name,
            clock,
            versions,
            runtime,
            queue,
            signals: Mutex::new(Some(signals_in)),
            client,
            state,
            acks,
        };
        (Arc::new(listener), Said { events, signals })
    }

    /// Names the client before it runs, and takes its reconnecting into our hands: the supervisor decides when an
    /// instance tries again.
    pub(super) fn attach(&self, client: &Arc<Client>) {
        let reconnects = Arc::clone(&client.enable_auto_reconnect);
        reconnects.store(false, Ordering::SeqCst);
        let attached = Attached { client: Arc::downgrade(client), reconnects };
        assert!(self.client.set(attached).is_ok(), "a listener hears one client");
    }

    /// Nothing is said from now on.
    pub(super) fn mute(&self) {
        self.state.lock().muted = true;
        self.acks.close();
    }

    /// Who waits for which acknowledgement.
    pub(super) fn acks(&self) -> &Acks {
        &self.acks
    }

    /// The time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The device was removed from its account during this run.
    pub(super) fn logged_out(&self) -> bool {
        self.state.lock().logged_out
    }

    pub(super) fn transport_is_up(&self) {
        let may_restart = {
            let mut state = self.state.lock();
            state.transport_is_up = true;
            state.heard = false;
            state.restarts_left = state.restarts_left.saturating_sub(1);
            state.restarts_left > 0
        };
        self.reconnects(may_restart);
        self.say(EngineEvent::TransportUp);
    }

    pub(super) fn transport_failed(&self, cause: String) {
        self.reconnects(false);
        self.state.lock().transport_error = Some(cause);
    }

    /// The client's loop has ended; says why, unless that is known already.
    pub(super) fn client_ended(&self) {
        self.acks.close();
        let event = {
            let mut state = self.state.lock();
            if state.over {
                return;
            }
            let failed = |cause: &str| EngineEvent::ConnectFailed { cause: cause.to_owned() };
            match state.transport_error.take() {
                Some(cause) => EngineEvent::ConnectFailed { cause },
                None if !state.transport_is_up => failed("the client ended before it connected"),
                None if !state.heard => failed("the handshake was not completed"),
                None => EngineEvent::Disconnected { cause: "the connection ended without a word".to_owned() },
            }
        };
        self.say(event);
    }

    fn reconnects(&self, on: bool) {
        if let Some(attached) = self.client.get() {
            attached.reconnects.store(on, Ordering::SeqCst);
        }
    }

    fn say(&self, event: EngineEvent) {
        let ends = ends_the_run(&event);
        let mut state = self.state.lock();
        if state.muted {
            return;
        }
        if self.queue.try_send(event).is_ok() {
            state.over |= ends;
        } else {
            // Lost, not forgotten: a run whose end could not be told is told as disconnected when its loop ends.
            warn!(instance.id = %self.instance_id, "nobody listens to the client: an event was dropped");
        }
    }

    fn qr_code(&self, code: &str, timeout: Duration) -> EngineEvent {
        let reference = code.split(',').next().unwrap_or_default();
        let mut state = self.state.lock();
        if state.attempt == 0 {
            // From the first code on, a phone may link the device, and that takes a restart of the connection.
            state.restarts_left = PAIRING_RESTARTS;
            self.reconnects(true);
        }
        if state.reference.as_deref() != Some(reference) {
            state.reference = Some(reference.to_owned());
            state.attempt += 1;
        }
        EngineEvent::QrCode {
            value: QrValue::new(code),
            expires_at: self.clock.now() + timeout,
            attempt: state.attempt,
        }
    }

    fn connected(&self) -> EngineEvent {
        self.reconnects(false);
        let Some(client) = self.client.get().and_then(|attached| attached.client.upgrade()) else {
            return EngineEvent::Disconnected { cause: "the client is gone".to_owned() };
        };
        let device = client.persistence_manager().get_device_snapshot();
        // A device that still has no name waits ten seconds at every log-in for one.
        if device.push_name.is_empty() && !self.placeholder_name.is_empty() {
            let name = self.placeholder_name.clone();
            self.runtime.start(async move {
                client.persistence_manager().process_command(DeviceCommand::SetPushName(name)).await;
            });
        }
        match profile(&device, &self.placeholder_name) {
            Some(profile) => EngineEvent::Connected { profile },
            None => EngineEvent::Disconnected { cause: "logged in to no account".to_owned() },
        }
    }

    fn connect_failure(&self, reason: ConnectFailureReason) -> EngineEvent {
        let code = reason.code().to_string();
        match reason {
            ConnectFailureReason::LoggedOut | ConnectFailureReason::UnknownLogout => EngineEvent::LoggedOut,
            // A ban whose length cannot be read is as good as one without an end.
            ConnectFailureReason::TempBanned | ConnectFailureReason::AccountLocked => EngineEvent::Restricted { code },
            ConnectFailureReason::ClientOutdated | ConnectFailureReason::BadUserAgent => self.outdated(),
            _ => EngineEvent::UpstreamRefused { code },
        }
    }

    fn outdated(&self) -> EngineEvent {
        let versions = Arc::clone(&self.versions);
        self.runtime.start(async move { versions.expire().await });
        EngineEvent::ClientOutdated
    }

    /// The run could not keep what came in: WhatsApp sends it again on the next connection.
    pub(super) fn could_not_keep(&self) {
        self.reconnects(false);
        self.say(EngineEvent::Disconnected { cause: "what came in could not be stored".to_owned() });
    }

    /// WhatsApp takes no messages to strangers until then.
    pub(super) fn reachout_timelock(&self, until: DateTime<Utc>) {
        self.say(EngineEvent::ReachoutTimelock { until });
    }

    /// Nothing is passed on any more: whoever hears the signals learns that there are no others.
    pub(super) fn hang_up(&self) {
        self.signals.lock().take();
    }

    fn pass_on(&self, signal: Arc<Event>) {
        let is_heard = self.signals.lock().as_ref().is_none_or(|queue| queue.try_send(signal).is_ok());
        if !is_heard && !std::mem::replace(&mut self.state.lock().signals_dropped, true) {
            warn!(instance.id = %self.instance_id, "receipts and the like come faster than they are stored: some are lost");
        }
    }
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<Event>) {
        self.state.lock().heard = true;
        let said = match &*event {
            Event::PairingQrCode(qr) => self.qr_code(&qr.code, qr.timeout),
            Event::PairingQrCodesExhausted(end) => EngineEvent::QrCodesExhausted { disconnected: end.disconnected },
            Event::QrScannedWithoutMultidevice(_) => {
                EngineEvent::PairFailed { cause: "the phone's WhatsApp is too old to link devices".to_owned() }
            }
            Event::PairSuccess(pair) => EngineEvent::PairSuccess {
                profile: Profile {
                    number: pair.id.user.to_string(),
                    lid: lid_of(Some(&pair.lid)),
                    push_name: Some(pair.business_name.clone()).filter(|name| !name.is_empty()),
                },
            },
            Event::PairError(error) => EngineEvent::PairFailed { cause: pairing_cause(&error.error) },
            // The code itself is the answer to whoever asked for it.
            Event::PairingCodeRefresh(_) | Event::PairingCodeError(_) => EngineEvent::LinkCodeEnded,
            Event::PairPasskeyRequest(request) => passkey_options(&request.request_options_json),
            Event::PairPasskeyConfirmation(confirmation) => {
                EngineEvent::PasskeyConfirmationRequired { code: confirmation.code.clone() }
            }
            Event::PairPasskeyError(_) => EngineEvent::PairFailed { cause: "the passkey was not accepted".to_owned() },
            Event::Connected(_) => self.connected(),
            Event::Disconnected(end) => {
                self.reconnects(false);
                EngineEvent::Disconnected { cause: end.reason.to_string() }
            }
            Event::LoggedOut(end) => {
                self.state.lock().logged_out = true;
                match end.reason {
                    ConnectFailureReason::AccountLocked => {
                        EngineEvent::Restricted { code: end.reason.code().to_string() }
                    }
                    _ => EngineEvent::LoggedOut,
                }
            }
            Event::StreamReplaced(_) => EngineEvent::StreamReplaced,
            Event::TemporaryBan(ban) => {
                EngineEvent::TemporaryBan { expires_in: ban.expire.to_std().unwrap_or(Duration::ZERO) }
            }
            Event::ConnectFailure(failure) => self.connect_failure(failure.reason),
            Event::ClientOutdated(_) => self.outdated(),
            // The hook has these already.
            Event::Messages(batch) if batch.hook_committed => return,
            Event::ServerAck(ack) => {
                // Other stanzas than messages are acknowledged too.
                if ack.class.as_deref().is_none_or(|class| class == "message") {
                    self.acks.came(&ack.id, Ack { error: ack.error.clone(), at: ack.timestamp });
                }
                return self.pass_on(Arc::clone(&event));
            }
            Event::Messages(_)
            | Event::Receipt(_)
            | Event::UndecryptableMessage(_)
            | Event::ChatPresence(_)
            | Event::Presence(_)
            | Event::GroupUpdate(_)
            | Event::IncomingCall(_)
            | Event::MissedCall(_)
            | Event::CallEndedElsewhere(_) => return self.pass_on(Arc::clone(&event)),
            _ => return,
        };
        self.say(said);
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(KINDS)
    }
}

/// Who a device is linked to; `None` if to nobody.
pub(super) fn profile(device: &wacore::store::Device, placeholder_name: &str) -> Option<Profile> {
    let number = device.pn.as_ref().map(|jid| jid.user.to_string()).filter(|number| !number.is_empty())?;
    let name = Some(&device.push_name).filter(|name| !name.is_empty() && *name != placeholder_name);
    Some(Profile { number, lid: lid_of(device.lid.as_ref()), push_name: name.cloned() })
}

fn lid_of(jid: Option<&Jid>) -> Option<String> {
    jid.map(|jid| jid.user.to_string()).filter(|user| !user.is_empty())
}

/// A run says nothing worth hearing after one of these.
fn ends_the_run(event: &EngineEvent) -> bool {
    match event {
        EngineEvent::ConnectFailed { .. }
        | EngineEvent::QrCodesExhausted { disconnected: true }
        | EngineEvent::Disconnected { .. }
        | EngineEvent::LoggedOut
        | EngineEvent::StreamReplaced
        | EngineEvent::TemporaryBan { .. }
        | EngineEvent::Restricted { .. }
        | EngineEvent::ClientOutdated
        | EngineEvent::UpstreamRefused { .. } => true,
        EngineEvent::TransportUp
        | EngineEvent::QrCode { .. }
        | EngineEvent::QrCodesExhausted { disconnected: false }
        | EngineEvent::PairSuccess { .. }
        | EngineEvent::PairFailed { .. }
        | EngineEvent::Connected { .. }
        | EngineEvent::ReachoutTimelock { .. }
        | EngineEvent::LinkCodeEnded
        | EngineEvent::PasskeyRequired { .. }
        | EngineEvent::PasskeyConfirmationRequired { .. } => false,
    }
}

/// What WhatsApp wants of a passkey, if an authenticator could read it.
fn passkey_options(json: &str) -> EngineEvent {
    match (parse_request_options(json), serde_json::from_str(json)) {
        (Ok(_), Ok(options)) => EngineEvent::PasskeyRequired { options },
        (Ok(_) | Err(_), _) => {
            EngineEvent::PairFailed { cause: "what is asked of the passkey could not be read".to_owned() }
        }
    }
}

/// The library's words for a failed pairing in ours. Its own are not passed on: they quote what the phone sent.
fn pairing_cause(error: &str) -> String {
    const KNOWN: [(&str, &str); 3] = [
        (
            "signature-mismatch",
            "401 signature-mismatch: the account's signature was not accepted, as happens with some business accounts",
        ),
        ("hmac-mismatch", "401 hmac-mismatch: the answer was not made for the code that was shown"),
        ("internal-error", "500 internal-error: the phone's answer could not be read"),
    ];
    let known = KNOWN.iter().find(|(code, _)| error.contains(code));
    known.map_or("the pairing could not be completed", |(_, cause)| cause).to_owned()
}

#[cfg(test)]
mod tests;
