//! What a client sees of an instance and its session.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond::time;
use crate::domain::instance::InstanceId;
use crate::domain::profile::Profile;
use crate::domain::qr_code::MAX_ATTEMPTS;
use crate::domain::session::{Desired, Reason, SessionView, Status};
use crate::store::event;
use crate::store::instance::{self, Instance};

/// An instance and its session.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    instance_id: InstanceId,
    #[schema(example = "shop-7")]
    name: String,
    #[schema(example = "wagate-7k2m9qx4t0ab")]
    session_name: String,
    /// The node that answers.
    #[schema(example = "node-1")]
    server_name: String,
    status: Status,
    #[schema(required = true)]
    reason: Option<Reason>,
    /// When it came to stand there.
    #[serde(serialize_with = "time")]
    since: DateTime<Utc>,
    desired: Desired,
    linked: bool,
    /// The linked profile.
    #[schema(required = true)]
    me: Option<Me>,
    #[schema(required = true)]
    qr: Option<Qr>,
    liveness: Liveness,
    config: Config,
    /// What the caller gave at the creation.
    #[schema(value_type = Object, example = json!({"tier": 1}))]
    metadata: Value,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
}

/// A profile on WhatsApp.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(example = "201012345678@c.us")]
    id: String,
    #[schema(required = true, example = "123456789012345@lid")]
    lid: Option<String>,
    #[schema(required = true, example = "John Doe")]
    #[serde(rename = "pushName")]
    push_name: Option<String>,
}

/// When the code rotates out and where the round stands; never the code itself.
#[derive(Serialize, ToSchema)]
struct Qr {
    /// In Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    expires_at: i64,
    #[schema(example = 2)]
    attempt: u32,
    #[schema(example = 6)]
    max_attempts: u32,
}

/// Whether the connection lives.
#[derive(Serialize, ToSchema)]
struct Liveness {
    connected: bool,
    #[schema(required = true)]
    #[serde(serialize_with = "maybe_time")]
    /// When data last came from WhatsApp.
    last_seen_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    #[serde(serialize_with = "maybe_time")]
    /// When the last event in the instance's log happened.
    last_event_at: Option<DateTime<Utc>>,
}

/// The settings of an instance. Neither webhooks nor proxies can be set yet.
#[derive(Serialize, ToSchema)]
struct Config {
    #[schema(value_type = Vec<Object>, max_items = 0)]
    webhooks: [(); 0],
    #[schema(value_type = Option<Object>, required = true)]
    proxy: Option<()>,
}

impl Info {
    pub(super) fn new(instance: Instance, view: SessionView, server_name: &str) -> Self {
        let qr = Qr::of(&view);
        Self {
            instance_id: instance.id,
            name: instance.name,
            session_name: instance.id.session_name(),
            server_name: server_name.to_owned(),
            status: view.status,
            reason: view.reason,
            since: view.since,
            desired: view.desired,
            linked: view.linked,
            me: view.me.map(Me::from),
            qr,
            liveness: Liveness {
                connected: view.liveness.connected,
                last_seen_at: view.liveness.last_seen_at,
                last_event_at: view.liveness.last_event_at,
            },
            config: Config { webhooks: [], proxy: None },
            metadata: instance.metadata,
            created_at: instance.created_at,
        }
    }

    /// The document of one instance whose session was just looked at. Only its owner answers for an instance; one that
    /// nobody owns would be served by the node that is asked.
    pub(super) async fn of(call: &Call, mut view: SessionView) -> Result<Self, ApiError> {
        let mut conn = call.state.store.acquire().await?;
        let last_at = event::last_at(&mut conn, &[view.instance_id]).await?;
        view.liveness.last_event_at = last_at.get(&view.instance_id).copied();
        let instance = instance::find(&mut conn, call.caller.account_id, view.instance_id).await?;
        let instance = instance.ok_or(ApiError::SessionNotFound)?;
        Ok(Self::new(instance, view, &call.state.server_name))
    }
}

impl From<Profile> for Me {
    fn from(profile: Profile) -> Self {
        Self { id: profile.chat_id(), lid: profile.lid_address(), push_name: profile.push_name }
    }
}

/// What the holder of a link token is told of an instance: no name, no settings, and the number only as far as its owner
/// recognises it.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkInfo)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    status: Status,
    #[schema(required = true)]
    reason: Option<Reason>,
    #[schema(required = true)]
    qr: Option<Qr>,
    #[schema(required = true)]
    me: Option<MaskedNumber>,
}

/// The linked number, its middle left out.
#[derive(Serialize, ToSchema)]
struct MaskedNumber {
    number: String,
}

impl From<SessionView> for Told {
    fn from(view: SessionView) -> Self {
        Self {
            status: view.status,
            reason: view.reason,
            qr: Qr::of(&view),
            me: view.me.filter(|_| view.linked).map(|me| MaskedNumber { number: me.masked_number() }),
        }
    }
}

impl Qr {
    fn of(view: &SessionView) -> Option<Self> {
        let code = view.qr.as_ref().filter(|_| view.status == Status::ScanQrCode)?;
        Some(Self { expires_at: code.expires_at_ms(), attempt: code.attempt, max_attempts: MAX_ATTEMPTS })
    }
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(in crate::api) fn maybe_time<S: Serializer>(
    moment: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => time(moment, serializer),
        None => serializer.serialize_none(),
    }
}
