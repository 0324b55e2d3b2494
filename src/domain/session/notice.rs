//! What an account is told of a session: its status whenever that changes, and each new code's standing.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::domain::event::{Draft, EventKind};
use crate::domain::instance::InstanceId;
use crate::domain::qr_code::{MAX_ATTEMPTS, QrCode};

use super::state::Saved;
use super::status::{Reason, Status};

/// How many of the last statuses each notice repeats, its own included.
const REPEATED: usize = 5;

/// Remembers what was told of a session, so that only what is new is told.
#[derive(Debug)]
pub struct Notices {
    shown: (Status, Option<Reason>),
    statuses: VecDeque<(Status, DateTime<Utc>)>,
    code: Option<Arc<QrCode>>,
}

impl Notices {
    /// For a session that was told to stand as it is stored.
    pub fn after(stored: &Saved) -> Self {
        Self { shown: (stored.status, stored.reason), statuses: [(stored.status, stored.since)].into(), code: None }
    }

    /// What is new, in its order, now that the session stands like this and shows that code.
    pub fn of(&mut self, id: InstanceId, saved: &Saved, code: Option<&Arc<QrCode>>, now: DateTime<Utc>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let shown = (saved.status, saved.reason);
        if shown != self.shown {
            self.shown = shown;
            self.statuses.push_back((saved.status, saved.since));
            if self.statuses.len() > REPEATED {
                self.statuses.pop_front();
            }
            drafts.push(status(id, saved, self.statuses.make_contiguous()));
        }
        let is_new = |code: &Arc<QrCode>| self.code.as_ref().is_none_or(|told| !Arc::ptr_eq(told, code));
        if let Some(code) = code.filter(|code| is_new(code)) {
            drafts.push(qr(code, now));
        }
        self.code = code.cloned();
        drafts
    }
}

/// How a session stands, with its last statuses, this one at their end.
fn status(id: InstanceId, saved: &Saved, statuses: &[(Status, DateTime<Utc>)]) -> Draft {
    let mut payload = json!({
        "name": id.session_name(),
        "status": saved.status,
        "reason": saved.reason,
        "since": time(saved.since),
        "desired": saved.desired,
        "linked": saved.linked,
        "statuses": statuses.iter().map(told).collect::<Vec<_>>(),
    });
    if let Some(retry_at) = saved.retry_at {
        payload["retry_at"] = time(retry_at).into();
    }
    Draft { kind: EventKind::SessionStatus, at: saved.since, chat: None, payload }
}

/// The first notice of a new instance.
pub fn created(id: InstanceId, saved: &Saved) -> Draft {
    status(id, saved, &[(saved.status, saved.since)])
}

/// Where a round of codes stands. The code itself links whoever has it, so it is never told here.
fn qr(code: &QrCode, now: DateTime<Utc>) -> Draft {
    let payload = json!({
        "expires_at": code.expires_at_ms(),
        "attempt": code.attempt,
        "max_attempts": MAX_ATTEMPTS,
    });
    Draft { kind: EventKind::SessionQr, at: now, chat: None, payload }
}

fn told((status, at): &(Status, DateTime<Utc>)) -> Value {
    json!({ "status": status, "timestamp": at.timestamp_millis() })
}

fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::qr_code::QrValue;
    use crate::domain::session::Desired;

    const ID: &str = "7K2M9QX4T0AB";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap()
    }

    fn saved(status: Status, reason: Option<Reason>, since: DateTime<Utc>) -> Saved {
        Saved { reason, ..Saved::new(Desired::Running, status, since) }
    }

    fn code(value: &str) -> Arc<QrCode> {
        Arc::new(QrCode::new(QrValue::new(value), at(60), 2))
    }

    #[test]
    fn a_change_of_status_or_reason_is_told_once_and_nothing_else_is() {
        let id = InstanceId::parse(ID).unwrap();
        let mut notices = Notices::after(&saved(Status::Starting, None, at(0)));
        let mut told = |saved: &Saved| notices.of(id, saved, None, at(9)).pop().map(|draft| draft.payload);
        assert_eq!(told(&saved(Status::Starting, None, at(0))), None);
        let pairing = saved(Status::Starting, Some(Reason::Pairing), at(1));
        assert_eq!(told(&pairing).unwrap()["reason"], "pairing");
        assert_eq!(told(&Saved { rounds: 3, ..pairing }), None);
        let banned = Saved { retry_at: Some(at(60)), ..saved(Status::Failed, Some(Reason::Banned), at(2)) };
        assert_eq!(
            told(&banned).unwrap(),
            json!({
                "name": "wagate-7k2m9qx4t0ab", "status": "FAILED", "reason": "banned", "since": "2026-09-21T14:13:22Z",
                "desired": "running", "linked": false, "retry_at": "2026-09-21T14:14:20Z",
                "statuses": [
                    { "status": "STARTING", "timestamp": 1_790_000_000_000_i64 },
                    { "status": "STARTING", "timestamp": 1_790_000_001_000_i64 },
                    { "status": "FAILED", "timestamp": 1_790_000_002_000_i64 },
                ],
            })
        );
    }

    #[test]
    fn each_code_is_told_once_after_the_status_that_shows_it_and_without_its_value() {
        let id = InstanceId::parse(ID).unwrap();
        let mut notices = Notices::after(&saved(Status::Starting, None, at(0)));
        let shown = saved(Status::ScanQrCode, None, at(1));
        let (first, second) = (code("2@first"), code("2@second"));
        let drafts = notices.of(id, &shown, Some(&first), at(1));
        assert_eq!(
            drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>(),
            [EventKind::SessionStatus, EventKind::SessionQr]
        );
        assert!(notices.of(id, &shown, Some(&first), at(2)).is_empty());
        let drafts = notices.of(id, &shown, Some(&second), at(3));
        assert_eq!((drafts.len(), drafts[0].at), (1, at(3)));
        let expected = json!({ "expires_at": 1_790_000_060_000_i64, "attempt": 2, "max_attempts": 6 });
        assert_eq!(drafts[0].payload, expected);
    }

    #[test]
    fn no_more_than_the_last_statuses_are_repeated() {
        let id = InstanceId::parse(ID).unwrap();
        let mut notices = Notices::after(&saved(Status::Starting, None, at(0)));
        let mut last = Vec::new();
        for turn in 1..10 {
            let status = if turn % 2 == 0 { Status::Starting } else { Status::ScanQrCode };
            last = notices.of(id, &saved(status, None, at(turn)), None, at(turn));
        }
        assert_eq!(last[0].payload["statuses"].as_array().unwrap().len(), REPEATED);
    }
}
