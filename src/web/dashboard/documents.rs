//! The API's documents, as far as pages show them.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::moment::Moment;

/// An instance and its session.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) instance_id: String,
    pub(super) name: String,
    pub(super) server_name: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) since: Moment,
    pub(super) linked: bool,
    pub(super) me: Option<Me>,
    pub(super) liveness: Liveness,
    pub(super) config: Config,
    pub(super) created_at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub(super) id: String,
    #[serde(rename = "pushName")]
    pub(super) push_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Liveness {
    pub(super) connected: bool,
    pub(super) last_seen_at: Option<Moment>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) webhooks: Vec<Hook>,
}

/// A webhook among an instance's settings.
#[derive(Debug, Deserialize)]
pub(super) struct Hook {
    pub(super) webhook_id: String,
    pub(super) url: String,
    pub(super) enabled: bool,
}

impl Info {
    /// Whom it is linked to, as people write it.
    pub(super) fn number(&self) -> String {
        let Some(me) = &self.me else { return "nobody yet".to_owned() };
        let number = format!("+{}", me.id.split('@').next().unwrap_or_default());
        match &me.push_name {
            Some(name) => format!("{number} ({name})"),
            None => number,
        }
    }

    /// What a search looks through.
    pub(super) fn words(&self) -> String {
        format!("{} {} {}", self.name, self.instance_id, self.number()).to_lowercase()
    }
}

/// Instances.
#[derive(Debug, Deserialize)]
pub(super) struct Instances {
    pub(super) sessions: Vec<Info>,
    pub(super) next_cursor: Option<String>,
}

/// Events of an instance's log.
#[derive(Debug, Deserialize)]
pub(super) struct Events {
    pub(super) events: Vec<Event>,
    pub(super) last_seq: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) seq: i64,
    pub(super) timestamp: i64,
    #[serde(rename = "event")]
    pub(super) kind: String,
    pub(super) payload: Value,
}

impl Event {
    /// When it happened.
    pub(super) fn moment(&self) -> Moment {
        Moment::of_milliseconds(self.timestamp)
    }

    /// What it tells.
    pub(super) fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.payload).unwrap_or_default()
    }
}

/// A token or a key.
#[derive(Debug, Deserialize)]
pub(super) struct Token {
    #[serde(rename = "token_id")]
    pub(super) id: Uuid,
    pub(super) last4: String,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    pub(super) state: String,
    pub(super) created_at: Moment,
    pub(super) expires_at: Option<Moment>,
    pub(super) current: bool,
}

impl Token {
    /// Whether another can take its place: none did yet.
    pub(super) fn is_replaceable(&self) -> bool {
        self.state == "active"
    }

    /// Whether it can still be revoked.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "active" | "rotating")
    }
}

/// A webhook.
#[derive(Debug, Deserialize)]
pub(super) struct Webhook {
    #[serde(rename = "webhook_id")]
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) order: String,
    pub(super) enabled: bool,
    pub(super) disabled: Option<Disabled>,
    pub(super) failing_since: Option<Moment>,
    pub(super) backlog: Backlog,
    pub(super) created_at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Disabled {
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Backlog {
    pub(super) events: i64,
    pub(super) aside: i64,
    pub(super) dead_letters: i64,
}

impl Webhook {
    /// Where it stands, in words.
    pub(super) fn standing(&self) -> String {
        match (&self.disabled, self.failing_since) {
            (Some(disabled), _) => format!("disabled: {}", disabled.reason),
            (None, Some(_)) => "failing".to_owned(),
            (None, None) => "told".to_owned(),
        }
    }

    /// In which colour.
    pub(super) fn badge(&self) -> &'static str {
        match (self.enabled, self.failing_since) {
            (false, _) => "STOPPED",
            (true, Some(_)) => "FAILED",
            (true, None) => "WORKING",
        }
    }

    /// Which kinds of events it is told.
    pub(super) fn kinds(&self) -> String {
        if self.events.is_empty() { "every kind".to_owned() } else { self.events.join(", ") }
    }
}

/// A page of webhooks.
#[derive(Debug, Deserialize)]
pub(super) struct Webhooks {
    pub(super) webhooks: Vec<Webhook>,
    pub(super) next_cursor: Option<String>,
}

/// Attempts at deliveries.
#[derive(Debug, Deserialize)]
pub(super) struct Deliveries {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delivery {
    pub(super) at: Moment,
    pub(super) event_id: Option<String>,
    pub(super) event: String,
    pub(super) attempt: i32,
    pub(super) outcome: String,
    pub(super) status: Option<i16>,
    pub(super) duration_ms: i32,
}

impl Delivery {
    /// In which colour.
    pub(super) fn badge(&self) -> &'static str {
        if self.outcome == "delivered" { "WORKING" } else { "FAILED" }
    }
}

/// A page of the audit log.
#[derive(Debug, Deserialize)]
pub(super) struct Audit {
    pub(super) entries: Vec<Line>,
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) at: Moment,
    pub(super) actor: Actor,
    pub(super) address: Option<String>,
    pub(super) action: String,
    pub(super) instance_id: Option<String>,
    pub(super) detail: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Actor {
    pub(super) kind: String,
    pub(super) last4: Option<String>,
}

impl Line {
    /// The particulars on one line.
    pub(super) fn particulars(&self) -> String {
        match self.detail.as_object() {
            Some(detail) if !detail.is_empty() => self.detail.to_string(),
            Some(_) | None => "–".to_owned(),
        }
    }
}
