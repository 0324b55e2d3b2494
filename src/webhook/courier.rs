//! Telling one webhook the events of one log, for as long as the claim on that stream is ours.
//!
//! The claim is written with every step: a courier whose claim was taken over notices at its next one and stops. What it
//! had just sent may then arrive twice, but nothing arrives for the first time out of its order.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain::clock::Clock;
use crate::domain::event::{Envelope, EventKind, Logged};
use crate::domain::webhook::{DisabledReason, Header, Outcome};
use crate::store::audit::{self, Action};
use crate::store::event::reader::{self, Wanted};
use crate::store::vault::{Vault, VaultError};
use crate::store::webhook::aside::{self, Aside};
use crate::store::webhook::delivery::Attempt;
use crate::store::webhook::endpoint::{self, Confidential, ConfidentialError};
use crate::store::webhook::stream::{self, Claim, Failure, Held, Stream};
use crate::store::webhook::{Told, dead_letter};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::WebhookMeter;

use super::schedule::{self, Verdict};
use super::sender::{Answer, Parcel, Sender};
use super::signature::Secret;

/// How long a claim holds without a sign of life: longer than a delivery may take, and than clocks differ.
pub(super) const CLAIM: TimeDelta = TimeDelta::seconds(90);

/// A stream with much to tell gives its place to others after this long.
const TURN: TimeDelta = TimeDelta::seconds(5);

/// Events read at once.
const PAGE: i64 = 50;

/// What cannot be read here and now is looked at again after this long: another node may be able to.
const UNREADABLE_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Tells events; one for all streams of a node.
pub(super) struct Courier {
    pub(super) store: Store,
    pub(super) vault: Arc<Vault>,
    pub(super) sender: Sender,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) meter: WebhookMeter,
    pub(super) disable_after: TimeDelta,
    pub(super) rng: Mutex<StdRng>,
    pub(super) stop: CancellationToken,
}

/// A stream could not be told on; its claim runs out.
#[derive(Debug, thiserror::Error)]
pub(super) enum CourierError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Confidential(#[from] ConfidentialError),
}

/// Where an endpoint's deliveries go and what they are signed with.
struct Address {
    url: String,
    headers: Vec<Header>,
    secrets: Vec<Secret>,
}

/// A delivery that did not arrive.
struct Miss {
    kind: EventKind,
    seq: i64,
    attempt: Attempt,
    retry_after: Option<std::time::Duration>,
}

impl Courier {
    /// Tells a stream what there is to tell, until that is all, a delivery fails, or its turn is over.
    pub(super) async fn tell(&self, mut stream: Stream) -> Result<(), CourierError> {
        let address = self.address(&stream.told).await?;
        let kinds = stream.told.subscription.kinds();
        let ends = self.clock.now() + TURN;
        loop {
            let wanted = Wanted { after: stream.acknowledged, kinds: &kinds, limit: PAGE };
            let mut conn = self.store.acquire().await?;
            let reading = reader::read(&mut conn, &self.vault, stream.told.instance_id, wanted).await?;
            if reading.events.is_empty() {
                let held = self.held(&stream);
                if reading.is_cut {
                    stream::release(&mut conn, held, held.now + UNREADABLE_PAUSE).await?;
                } else {
                    // Nothing of what the log held at the claim is wanted, or it was pruned.
                    stream::skipped(&mut conn, held, stream.last).await?;
                }
                return Ok(());
            }
            drop(conn);
            let is_end = !reading.is_cut && i64::try_from(reading.events.len()).is_ok_and(|read| read < PAGE);
            let last = reading.events.last().map(|event| event.seq);
            for event in reading.events {
                if self.stop.is_cancelled() || self.clock.now() >= ends {
                    let held = self.held(&stream);
                    stream::release(&mut *self.store.acquire().await?, held, held.now).await?;
                    return Ok(());
                }
                let is_last = is_end && Some(event.seq) == last;
                if !self.tell_next(&mut stream, &address, event, is_last).await? || is_last {
                    return Ok(());
                }
            }
        }
    }

    /// Tells a stream its next event; `false` if the claim has ended.
    async fn tell_next(
        &self,
        stream: &mut Stream,
        address: &Address,
        event: Logged,
        is_last: bool,
    ) -> Result<bool, CourierError> {
        let (kind, seq) = (event.kind, event.seq);
        let (attempt, answer) = self.attempt(&stream.told, address, event, stream.attempts + 1).await;
        if answer.outcome != Outcome::Delivered {
            let miss = Miss { kind, seq, attempt, retry_after: answer.retry_after };
            self.missed(stream, miss).await?;
            return Ok(false);
        }
        let held = self.held(stream);
        // Behind the last event that was read, the log holds nothing more that is wanted.
        let acknowledged = if is_last { seq.max(stream.last) } else { seq };
        let then = if is_last { Claim::Released } else { Claim::Until(held.now + CLAIM) };
        let mut conn = self.store.acquire().await?;
        if !stream::delivered(&mut conn, held, (kind, seq, acknowledged), &attempt, then).await? {
            return Ok(false);
        }
        if stream.told.is_failing {
            endpoint::recovered(&mut conn, held.endpoint_id).await?;
            stream.told.is_failing = false;
        }
        (stream.acknowledged, stream.attempts, stream.failing_since) = (acknowledged, 0, None);
        Ok(true)
    }

    /// Writes down what becomes of an event of a stream that did not arrive.
    async fn missed(&self, stream: &Stream, miss: Miss) -> Result<(), CourierError> {
        let held = self.held(stream);
        let Miss { kind, seq, attempt, retry_after } = miss;
        let since = stream.failing_since.unwrap_or(held.now);
        let mut tx = self.store.begin().await?;
        let disabled = self.judge(&mut tx, &stream.told, &attempt, held.now).await?;
        let verdict = if disabled.is_some() {
            // It waits for its owner, with everything behind it.
            Verdict::Again(TimeDelta::zero())
        } else {
            let since = held.now - since;
            schedule::verdict(stream.told.order, attempt.number, since, retry_after, &mut *self.rng.lock())
        };
        let is_ours = match verdict {
            Verdict::Again(pause) => {
                let failure = Failure { attempts: attempt.number, failing_since: since, due_at: held.now + pause };
                stream::failed(&mut tx, held, (kind, seq), failure, &attempt).await?
            }
            Verdict::Aside(pause) => {
                let passed = stream::passed(&mut tx, held, (kind, seq), &attempt).await?;
                if passed {
                    aside::add(&mut tx, held, seq, attempt.number, held.now + pause).await?;
                }
                passed
            }
            Verdict::Park => {
                let passed = stream::passed(&mut tx, held, (kind, seq), &attempt).await?;
                if passed {
                    dead_letter::park(&mut tx, held, seq, &attempt).await?;
                }
                passed
            }
        };
        // Whoever has the stream now will see for himself how the endpoint fares.
        if !is_ours {
            return Ok(());
        }
        tx.commit().await.map_err(StoreError::while_("note that a delivery failed"))?;
        if verdict == Verdict::Park {
            self.meter.parked();
        }
        self.tell_disabled(&stream.told, disabled);
        Ok(())
    }

    /// Tells an event that was set aside.
    pub(super) async fn tell_aside(&self, aside: Aside) -> Result<(), CourierError> {
        let (told, seq) = (&aside.told, aside.seq);
        let address = self.address(told).await?;
        let held = || Held {
            endpoint_id: told.endpoint_id,
            instance_id: told.instance_id,
            claim: aside.claim,
            now: self.clock.now(),
        };
        let mut tx = self.store.begin().await?;
        let reading = aside::read(&mut tx, &self.vault, (told.endpoint_id, told.instance_id), seq).await?;
        let Some(event) = reading.events.into_iter().next() else {
            if reading.is_cut {
                aside::release(&mut tx, held(), seq, held().now + UNREADABLE_PAUSE).await?;
            } else {
                // It was pruned from the log meanwhile.
                aside::done(&mut tx, held(), seq, None).await?;
            }
            tx.commit().await.map_err(StoreError::while_("put back an event that was set aside"))?;
            return Ok(());
        };
        tx.rollback().await.map_err(StoreError::while_("end the reading of an event"))?;
        let kind = event.kind;
        let (attempt, answer) = self.attempt(told, &address, event, aside.attempts + 1).await;
        let held = held();
        let mut tx = self.store.begin().await?;
        let (mut disabled, mut is_parked) = (None, false);
        let is_ours = if answer.outcome == Outcome::Delivered {
            if told.is_failing {
                endpoint::recovered(&mut tx, held.endpoint_id).await?;
            }
            aside::done(&mut tx, held, seq, Some((kind, &attempt))).await?
        } else {
            disabled = self.judge(&mut tx, told, &attempt, held.now).await?;
            let pause = if disabled.is_some() {
                Some(TimeDelta::zero())
            } else {
                schedule::pause(attempt.number, answer.retry_after, &mut *self.rng.lock())
            };
            if let Some(pause) = pause {
                aside::failed(&mut tx, held, (kind, seq), held.now + pause, &attempt).await?
            } else {
                is_parked = aside::given_up(&mut tx, held, (kind, seq), &attempt).await?;
                is_parked
            }
        };
        if !is_ours {
            return Ok(());
        }
        tx.commit().await.map_err(StoreError::while_("note what came of an event that was set aside"))?;
        if is_parked {
            self.meter.parked();
        }
        self.tell_disabled(told, disabled);
        Ok(())
    }

    /// Makes one attempt at an event.
    async fn attempt(&self, told: &Told, address: &Address, event: Logged, number: u32) -> (Attempt, Answer) {
        let at = self.clock.now();
        let envelope = Envelope::new(event, told.metadata.clone());
        let body = serde_json::to_vec(&envelope).expect("an event has no keys but text");
        let parcel = Parcel {
            url: address.url.clone(),
            headers: address.headers.clone(),
            secrets: address.secrets.clone(),
            id: envelope.id,
            attempt: number,
            at,
            body,
        };
        let under_way = self.meter.begin();
        let answer = self.sender.send(parcel).await;
        under_way.ended(answer.outcome, answer.took);
        (Attempt { number, outcome: answer.outcome, status: answer.status, took: answer.took, at }, answer)
    }

    /// Notes that an endpoint fails, and disables it if it is gone or has failed for too long.
    async fn judge(
        &self,
        conn: &mut sqlx::PgConnection,
        told: &Told,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<Option<DisabledReason>, StoreError> {
        let since = endpoint::failed(conn, told.endpoint_id, now).await?.unwrap_or(now);
        let reason = if attempt.outcome == Outcome::Gone {
            DisabledReason::Gone
        } else if now - since >= self.disable_after {
            DisabledReason::Failing
        } else {
            return Ok(None);
        };
        if !endpoint::disable(conn, told.endpoint_id, reason, now).await? {
            return Ok(None);
        }
        let detail = json!({ "webhook_id": told.endpoint_id, "reason": reason, "failing_since": since });
        // Not of the instance whose event it was: it is the webhook's own affair.
        audit::append_own(conn, now, (told.account_id, None), Action::WebhookDisabled, detail).await?;
        Ok(Some(reason))
    }

    fn tell_disabled(&self, told: &Told, disabled: Option<DisabledReason>) {
        if let Some(reason) = disabled {
            self.meter.disabled(reason);
            info!(webhook.id = %told.endpoint_id, reason = %reason, "a webhook was disabled");
        }
    }

    async fn address(&self, told: &Told) -> Result<Address, CourierError> {
        let mut conn = self.store.acquire().await?;
        let cipher = self.vault.account_cipher(&mut conn, told.account_id).await?;
        drop(conn);
        let confidential = Confidential::open(&cipher, told.endpoint_id, &told.sealed)?;
        let secrets = confidential.live_secrets(self.clock.now()).filter_map(|kept| {
            Secret::parse(&kept.text)
                .inspect_err(|error| warn!(webhook.id = %told.endpoint_id, error = %error, "a secret does not read"))
                .ok()
        });
        let secrets = secrets.collect();
        Ok(Address { url: confidential.url, headers: confidential.headers, secrets })
    }

    fn held(&self, stream: &Stream) -> Held {
        Held {
            endpoint_id: stream.told.endpoint_id,
            instance_id: stream.told.instance_id,
            claim: stream.claim,
            now: self.clock.now(),
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}
