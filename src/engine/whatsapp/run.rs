//! One client, from its start to its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wacore::iq::devices::RemoveCompanionDeviceSpec;
use wacore::iq::keepalive::KeepaliveSpec;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::pair_code::{PairCodeError, PairCodeOptions, PairError};
use whatsapp_rust::passkey::Assertion;
use whatsapp_rust::{Client, IqError};

use crate::domain::instance::InstanceId;
use crate::domain::link_code::{LinkCode, VALIDITY};
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::engine::{EngineError, EngineEvent, EngineRun, EventSender, RunId, Tagged};

use super::http::Http;
use super::inbox::Inbox;
use super::listener::Listener;
use super::runtime::RunRuntime;

/// How long a client may take to flush its state and close its connection before its tasks are dropped.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long what was heard last may take to be stored.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What deriving a key from a code may take on a busy machine, beside WhatsApp's time to answer.
const KEY_DERIVATION: Duration = Duration::from_secs(10);

/// How a run stands with what comes in over it.
pub(super) struct Keeping {
    /// Where it is written.
    pub(super) inbox: Arc<Inbox>,
    /// Cancelled when something could not be kept: the run must end.
    pub(super) spoiled: CancellationToken,
    /// Cancelled when everything that was heard is written.
    pub(super) written: CancellationToken,
}

/// A run of the client.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) instance_id: InstanceId,
    pub(super) client: Arc<Client>,
    pub(super) http: Http,
    pub(super) listener: Arc<Listener>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) runtime: RunRuntime,
    ended: watch::Receiver<bool>,
    written: CancellationToken,
    pub(super) request_timeout: Duration,
}

impl Run {
    /// Lets the client run.
    pub(super) fn begin(
        (id, instance_id): (RunId, InstanceId),
        (bot, http): (Bot, Http),
        (listener, said): (Arc<Listener>, mpsc::Receiver<EngineEvent>),
        keeping: Keeping,
        runtime: RunRuntime,
        events: EventSender,
        request_timeout: Duration,
    ) -> Arc<Self> {
        let client = bot.client();
        listener.attach(&client);
        let (ended_tx, ended) = watch::channel(false);
        runtime.start(Teller { run_id: id, said, events }.run());
        let watcher =
            Watcher { handle: bot.spawn(), spoiled: keeping.spoiled, listener: Arc::clone(&listener), ended: ended_tx };
        runtime.start(watcher.run());
        let Keeping { inbox, written, .. } = keeping;
        Arc::new(Self { id, instance_id, client, http, listener, inbox, runtime, ended, written, request_timeout })
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// How long an answer from WhatsApp may take.
    pub(super) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}

#[async_trait]
impl EngineRun for Run {
    fn run_id(&self) -> RunId {
        self.id
    }

    async fn shutdown(&self) {
        self.listener.mute();
        let farewell = async {
            self.client.disconnect().await;
            // An error means that the watcher is gone, and the client with it.
            let _ = self.ended.clone().wait_for(|ended| *ended).await;
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            warn!(instance.id = %self.instance_id, "the client did not end in time and was dropped");
        }
        self.listener.hang_up();
        if tokio::time::timeout(LAST_WORDS, self.written.cancelled()).await.is_err() {
            warn!(instance.id = %self.instance_id, "receipts and the like were not stored in time and are lost");
        }
        self.runtime.end().await;
    }

    async fn abort(&self) {
        self.listener.mute();
        self.runtime.end().await;
    }

    async fn logout(&self) -> Result<(), EngineError> {
        const ACTION: &str = "remove the device";
        let unreachable = |cause: &str| EngineError::Unreachable { action: ACTION, cause: cause.to_owned() };
        let device = self.client.persistence_manager().get_device_snapshot();
        let jid = device.pn.as_ref().ok_or_else(|| unreachable("the device is linked to no account"))?;
        if !self.client.is_logged_in() {
            return Err(unreachable("the device is not logged in"));
        }
        let request = self.client.execute(RemoveCompanionDeviceSpec::new(jid));
        match tokio::time::timeout(self.request_timeout, request).await {
            Ok(Ok(())) => Ok(()),
            // WhatsApp may close the stream of a removed device before its answer is read.
            _ if self.listener.logged_out() => Ok(()),
            Ok(Err(error)) => Err(failed(ACTION, &error)),
            Err(_) => Err(unreachable("no answer in time")),
        }
    }

    async fn probe(&self) -> Result<(), EngineError> {
        const ACTION: &str = "answer a ping";
        let request = self.client.execute(KeepaliveSpec::with_timeout(self.request_timeout));
        request.await.map_err(|error| failed(ACTION, &error))
    }

    async fn request_code(&self, number: PhoneNumber) -> Result<LinkCode, EngineError> {
        const ACTION: &str = "give a code to type";
        let unreachable = |cause: &str| EngineError::Unreachable { action: ACTION, cause: cause.to_owned() };
        // The library refuses a second code while one is outstanding, lest a phone be given a key for the other.
        self.client.cancel_pair_code().await;
        let expires_at = self.listener.now() + VALIDITY;
        let options = PairCodeOptions { phone_number: number.digits(), ..PairCodeOptions::default() };
        let code = tokio::time::timeout(self.request_timeout + KEY_DERIVATION, self.client.pair_with_code(options));
        let code =
            code.await.map_err(|_| unreachable("no answer in time"))?.map_err(|error| no_code(ACTION, &error))?;
        LinkCode::new(&code, number, expires_at)
            .ok_or_else(|| EngineError::Refused { action: ACTION, cause: "the code has another form".to_owned() })
    }

    async fn answer_passkey(&self, answer: PasskeyAnswer) -> Result<(), EngineError> {
        const ACTION: &str = "take what was asked of a passkey";
        let client = &self.client;
        let handed_in = async {
            match answer {
                PasskeyAnswer::Assertion(assertion) => {
                    let (assertion_json, credential_id) = (assertion.json, assertion.credential_id);
                    client.send_passkey_response(Assertion { assertion_json, credential_id }).await
                }
                PasskeyAnswer::Confirmed => client.send_passkey_confirmation().await,
            }
        };
        match tokio::time::timeout(self.request_timeout, handed_in).await {
            Ok(Ok(())) => Ok(()),
            // The library does not tell a refusal from a connection that broke, except by words that quote stanzas.
            Ok(Err(_)) if self.client.is_connected() => {
                Err(EngineError::Refused { action: ACTION, cause: "the request was answered with an error".to_owned() })
            }
            Ok(Err(_)) => Err(EngineError::Unreachable { action: ACTION, cause: "the connection is gone".to_owned() }),
            Err(_) => Err(EngineError::Unreachable { action: ACTION, cause: "no answer in time".to_owned() }),
        }
    }

    fn last_data_received(&self) -> Option<DateTime<Utc>> {
        let at = self.client.stats().last_data_received_ms;
        i64::try_from(at).ok().filter(|at| *at > 0).and_then(DateTime::from_timestamp_millis)
    }

    fn is_saver_halted(&self) -> bool {
        self.client.persistence_manager().is_saver_halted()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // `shutdown` ends a run. One that is dropped without it must still not keep its socket.
        self.client.signal_shutdown_sync();
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).field("instance_id", &self.instance_id).finish_non_exhaustive()
    }
}

/// A request's failure in the engine's words.
pub(super) fn failed(action: &'static str, error: &IqError) -> EngineError {
    match error {
        IqError::ServerError { code, .. } => EngineError::Refused { action, cause: format!("code {code}") },
        IqError::Timeout => EngineError::Unreachable { action, cause: "no answer in time".to_owned() },
        // The others quote stanzas, which hold addresses.
        _ => EngineError::Unreachable { action, cause: "the connection is gone".to_owned() },
    }
}

/// Why there is no code to type, in the engine's words.
fn no_code(action: &'static str, error: &PairError) -> EngineError {
    match error {
        PairError::RequestFailed(error) => failed(action, error),
        PairError::PairCode(PairCodeError::Cancelled | PairCodeError::CodeAlreadyOutstanding { .. }) => {
            EngineError::Unreachable { action, cause: "another request came in between".to_owned() }
        }
        // The library's own checks, and those it may yet get.
        _ => EngineError::Refused { action, cause: "the library refused the number or the answer".to_owned() },
    }
}

/// Passes on what the client says, in order, at the pace of whoever listens.
struct Teller {
    run_id: RunId,
    said: mpsc::Receiver<EngineEvent>,
    events: EventSender,
}

impl Teller {
    async fn run(mut self) {
        while let Some(event) = self.said.recv().await {
            if self.events.send(Tagged { run_id: self.run_id, event }).await.is_err() {
                break;
            }
        }
    }
}

/// Waits for the client's loop to end: the library has no event for every way it can.
struct Watcher {
    handle: BotHandle,
    /// Cancelled when the run could not keep what came in.
    spoiled: CancellationToken,
    listener: Arc<Listener>,
    ended: watch::Sender<bool>,
}

impl Watcher {
    async fn run(mut self) {
        let ended = tokio::select! {
            () = &mut self.handle => true,
            () = self.spoiled.cancelled() => false,
        };
        if !ended {
            self.listener.could_not_keep();
            self.handle.await;
        }
        debug!("a client's loop has ended");
        self.listener.client_ended();
        self.ended.send_replace(true);
    }
}
