//! What a client sees of a webhook. Its secret is told once, by the answer that makes it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond::{maybe_time, time};
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{DisabledReason, Order, WebhookId};
use crate::store::webhook::endpoint::{Confidential, Endpoint};
use crate::store::webhook::stream::{self, Backlog};

use super::opened;

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(in crate::api) struct Document {
    pub(in crate::api) webhook_id: WebhookId,
    /// The one instance it is told of; null for all of the account.
    #[schema(required = true)]
    instance_id: Option<InstanceId>,
    #[schema(example = "https://example.com/hooks/wa")]
    url: String,
    /// The kinds of events it is told; none named is all of them.
    events: Vec<EventKind>,
    order: Order,
    enabled: bool,
    /// Why it gets nothing, and since when.
    #[schema(required = true)]
    disabled: Option<Disabled>,
    /// Since when every delivery fails.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required = true)]
    failing_since: Option<DateTime<Utc>>,
    /// The names of the headers that are added; their values may be secrets.
    #[schema(example = json!(["authorization"]))]
    headers: Vec<String>,
    /// What deliveries are signed with, the newest first.
    secrets: Vec<SecretTold>,
    backlog: Waiting,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
}

/// Why a webhook gets nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDisabled)]
struct Disabled {
    reason: DisabledReason,
    #[serde(serialize_with = "time")]
    since: DateTime<Utc>,
}

/// A secret, as far as one may see it again.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
struct SecretTold {
    #[schema(example = "x7Q=")]
    last4: String,
    /// When it is no longer signed with; null for the newest.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
}

/// What is still to be told, and what was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookBacklog)]
struct Waiting {
    /// Events logged and not yet done with, those that are not wanted included.
    #[schema(example = 3)]
    events: i64,
    /// Events that are tried again, or told again, beside the stream.
    #[schema(example = 0)]
    aside: i64,
    /// Events that were given up; they can be replayed.
    #[schema(example = 0)]
    dead_letters: i64,
}

/// A webhook and its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(in crate::api) struct WithSecret {
    #[serde(flatten)]
    pub(in crate::api) webhook: Document,
    /// What deliveries are signed with. Told now and never again; null where the answer is repeated too late, or where
    /// the secret is the caller's own.
    #[schema(required = true, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub(in crate::api) secret: Option<String>,
}

impl Document {
    /// Of one webhook.
    pub(in crate::api) async fn of(call: &Call, conn: &mut PgConnection, endpoint: Endpoint) -> Result<Self, ApiError> {
        let backlog = stream::backlogs(conn, &[endpoint.id]).await?.pop().unwrap_or_default();
        let confidential = opened(call, conn, &endpoint).await?;
        Ok(Self::new(call, &endpoint, &confidential, backlog))
    }

    /// Of several.
    pub(in crate::api) async fn of_all(
        call: &Call,
        conn: &mut PgConnection,
        endpoints: &[Endpoint],
    ) -> Result<Vec<Self>, ApiError> {
        let ids: Vec<WebhookId> = endpoints.iter().map(|endpoint| endpoint.id).collect();
        let backlogs = stream::backlogs(conn, &ids).await?;
        let mut documents = Vec::with_capacity(endpoints.len());
        for (endpoint, backlog) in endpoints.iter().zip(backlogs) {
            let confidential = opened(call, conn, endpoint).await?;
            documents.push(Self::new(call, endpoint, &confidential, backlog));
        }
        Ok(documents)
    }

    fn new(call: &Call, endpoint: &Endpoint, confidential: &Confidential, backlog: Backlog) -> Self {
        let secrets = confidential.live_secrets(call.state.clock.now()).map(|kept| SecretTold {
            last4: kept.text.get(kept.text.len().saturating_sub(4)..).unwrap_or_default().to_owned(),
            expires_at: kept.until,
        });
        Self {
            webhook_id: endpoint.id,
            instance_id: endpoint.instance_id,
            url: confidential.url.clone(),
            events: endpoint.subscription.named().to_vec(),
            order: endpoint.order,
            enabled: endpoint.disabled.is_none(),
            disabled: endpoint.disabled.map(|(reason, since)| Disabled { reason, since }),
            failing_since: endpoint.failing_since,
            headers: confidential.headers.iter().map(|header| header.name.clone()).collect(),
            secrets: secrets.collect(),
            backlog: Waiting { events: backlog.events, aside: backlog.aside, dead_letters: backlog.dead_letters },
            created_at: endpoint.created_at,
        }
    }
}

/// A webhook of an instance, among its settings: what its address is asked, and is signed with, is not told there.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceWebhook)]
pub(in crate::api) struct Listed {
    webhook_id: WebhookId,
    /// Without its query.
    #[schema(example = "https://example.com/hooks/wa")]
    url: String,
    /// The kinds of events it is told; none named is all of them.
    events: Vec<EventKind>,
    enabled: bool,
}

impl Listed {
    /// Of one webhook.
    pub(in crate::api) async fn of(
        call: &Call,
        conn: &mut PgConnection,
        endpoint: &Endpoint,
    ) -> Result<Self, ApiError> {
        let url = opened(call, conn, endpoint).await?.url;
        Ok(Self {
            webhook_id: endpoint.id,
            url: url.split('?').next().unwrap_or_default().to_owned(),
            events: endpoint.subscription.named().to_vec(),
            enabled: endpoint.disabled.is_none(),
        })
    }
}
