//! `/v2/session/create`: a new instance, its token, and, unless asked otherwise, its start.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use chrono::{DateTime, SubsecRound, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::idempotency::{Claim, Kept, REPLAYED, SECRET_KEPT, Turn};
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfStatus};
use crate::api::respond::{self, time};
use crate::api::webhooks;
use crate::domain::instance::InstanceId;
use crate::domain::session::{Desired, Saved, Status, notice};
use crate::domain::token::{Scope, Token, TokenKind};
use crate::store::audit::Action;
use crate::store::idempotency::Answer;
use crate::store::instance::{self, Instance};
use crate::store::token::{self, Holder};
use crate::store::{account, event, kept_secret, lease, session};
use crate::webhook::target::Guard;
use utoipa::ToSchema;

use super::metadata;

const MAX_NAME: usize = 100;

/// Ids are 60 random bits: a second draw is all but never needed, a fifth means something else is wrong.
const DRAWS: usize = 5;

/// What an idempotency key is claimed for.
const OPERATION: &str = "session.create";

/// The new instance; the only answer that ever shows its token. Read back where the creation is repeated.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = CreatedInstance)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
struct Created {
    instance_id: String,
    name: String,
    session_name: String,
    server_name: String,
    status: Status,
    /// `None` where it is told no more.
    #[schema(required = true, example = "wgi_…")]
    access_token: Option<String>,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
}

/// What the caller asked for.
struct Wish {
    name: Option<String>,
    metadata: Map<String, Value>,
    desired: Desired,
    webhooks: Vec<webhooks::wish::Wish>,
}

/// Creates an instance.
///
/// The answer is the only one that shows its token. Needs the account's key.
///
/// With an `Idempotency-Key` the same request may be sent again for a day, say after a timeout: it is served once, and later
/// ones get the answer of the first with `Idempotency-Replayed: true`. The token is repeated for 10 minutes; after that
/// `access_token` is null.
#[utoipa::path(
    post, path = "/v2/session/create", tag = "Sessions",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("name" = Option<String>, Query, description = "What people call it; made of the id unless given.",
            max_length = 100, example = "shop-7"),
        ("metadata" = Option<Object>, Query, description = "Kept with the instance and told with it.",
            example = json!({"tier": 1})),
        ("start" = Option<bool>, Query, description = "Whether to start it at once; true unless given.", example = true),
        ("config" = Option<Object>, Query, description = "Settings: `webhooks`, in WAHA's shape, and a \
            null `proxy`.", example = json!({"webhooks": [{"url": "https://example.com/hooks/wa", "events": ["message"]}]})),
    ),
    responses(
        (status = 201, description = "The new instance.", body = Created, headers(("Idempotency-Replayed"))),
        EveryRoute, OfStatus, Conflicting,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn create(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let key = call.idempotency_key(&mut read);
    let wish = wish(read, call.state.webhooks.guard())?;
    call.account_key()?;
    let claim = match call.claim(key, OPERATION, &wish.request()).await? {
        Turn::Ours(claim) => claim,
        Turn::Answered(kept) => return replayed(kept),
    };
    let desired = wish.desired;
    let (id, created) = match insert(&call, wish, &claim).await {
        Ok(inserted) => inserted,
        Err(error) => {
            claim.release(&call).await;
            return Err(error);
        }
    };
    if desired == Desired::Running {
        start(&call, id).await;
    }
    Ok(respond::json(StatusCode::CREATED, &created))
}

/// The answer that was given before.
fn replayed(kept: Kept) -> Result<HttpResponse, ApiError> {
    let mut created: Created = serde_json::from_str(&kept.body).map_err(|error| ApiError::Internal(error.into()))?;
    created.access_token = kept.secret.map(|secret| secret.expose_secret().to_owned());
    let status = StatusCode::from_u16(kept.status).map_err(|error| ApiError::Internal(error.into()))?;
    let mut answer = respond::json(status, &created);
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}

/// Starts a new instance at once. Whatever prevents it must not cost the caller the only answer that shows the token: the
/// wish is recorded, and the reconciler comes back to it.
async fn start(call: &Call, id: InstanceId) {
    if let Err(error) = call.state.sessions.start(id).await {
        tracing::warn!(instance.id = %id, error = %error, "a new instance waits for the reconciler to start it");
    }
}

impl Wish {
    /// What makes two requests the same.
    fn request(&self) -> Value {
        let webhooks: Vec<Value> = self.webhooks.iter().map(webhooks::wish::Wish::request).collect();
        json!({ "name": self.name, "metadata": self.metadata, "desired": self.desired, "webhooks": webhooks })
    }

    /// Where a new instance stands: what was wished for, before anything has come of it.
    fn status(&self) -> Status {
        match self.desired {
            Desired::Running => Status::Starting,
            Desired::Stopped => Status::Stopped,
        }
    }
}

fn wish(mut read: Read<'_>, guard: &Guard) -> Result<Wish, ApiError> {
    let name = read.text("name", MAX_NAME).map(ToOwned::to_owned);
    let metadata = read.object("metadata").unwrap_or_default();
    if let Some(problem) = metadata::problem(&metadata) {
        read.wrong::<()>("metadata", problem);
    }
    let start = read.boolean("start").unwrap_or(true);
    let webhooks = read.object("config").and_then(|config| match webhooks_of(&config, guard) {
        Ok(webhooks) => Some(webhooks),
        Err(problem) => read.wrong("config", &problem),
    });
    read.finish()?;
    let desired = if start { Desired::Running } else { Desired::Stopped };
    Ok(Wish { name, metadata, desired, webhooks: webhooks.unwrap_or_default() })
}

/// The webhooks within the settings; on failure, words that follow `config`.
fn webhooks_of(config: &Map<String, Value>, guard: &Guard) -> Result<Vec<webhooks::wish::Wish>, String> {
    let mut wishes = Vec::new();
    for (key, value) in config {
        match (key.as_str(), value) {
            ("webhooks", Value::Array(given)) => {
                wishes =
                    given.iter().map(|given| webhooks::wish::Wish::of_waha(given, guard)).collect::<Result<_, _>>()?;
            }
            ("webhooks" | "proxy", Value::Null) => {}
            // Said now rather than ignored: a proxy cannot be set yet.
            (_, _) => return Err("may only hold a list of webhooks and a null proxy".to_owned()),
        }
    }
    Ok(wishes)
}

/// All rows of a new instance, or none; the answer among them, if it will be asked for again.
async fn insert(call: &Call, mut wish: Wish, claim: &Claim) -> Result<(InstanceId, Created), ApiError> {
    // PostgreSQL keeps microseconds; what is answered now is what is answered later.
    let now = call.state.clock.now().trunc_subsecs(6);
    let account_id = call.caller.account_id;
    let mut tx = call.state.store.begin().await?;
    let account = account::lock(&mut tx, account_id).await?.ok_or(ApiError::Unauthorized)?;
    if let Some(max) = account.max_instances
        && instance::count(&mut tx, account_id).await? >= u64::from(max)
    {
        return Err(ApiError::QuotaReached { max });
    }
    let instance = draw(call, &mut tx, &wish, now).await?;
    let id = instance.id;
    session::insert(&mut tx, id, wish.desired, now).await?;
    lease::insert(&mut tx, id).await?;
    for webhook in std::mem::take(&mut wish.webhooks) {
        let (made, _) = webhook.make(call, &mut tx, (Some(id), false), now).await?;
        call.record(&mut tx, Action::WebhookCreated, id, json!({ "webhook_id": made.id })).await?;
    }
    let cipher = call.state.vault.cipher(&mut tx, id).await?;
    let first = notice::created(id, &Saved::new(wish.desired, wish.status(), now));
    event::begin(&mut tx, &cipher, id, vec![first]).await?;
    let token = Token::generate(TokenKind::Instance, &mut call.state.rng());
    let token_id = call.state.uuid();
    token::insert(&mut tx, token_id, &token, Holder::Instance(account_id, id), &Scope::ALL, now, None).await?;
    call.record(&mut tx, Action::InstanceCreated, id, json!({})).await?;
    let mut created = Created {
        instance_id: id.to_string(),
        session_name: id.session_name(),
        name: instance.name,
        server_name: call.state.server_name.clone(),
        status: wish.status(),
        access_token: None,
        created_at: now,
    };
    if claim.has_key() {
        kept_secret::keep(&mut tx, &call.state.vault, (id, token_id), token.expose(), now + SECRET_KEPT).await?;
        let body = serde_json::to_string(&created).expect("our documents have no keys but text");
        let answer = Answer { status: StatusCode::CREATED.as_u16(), body, secret: Some(token_id) };
        claim.answer(call, &mut tx, answer).await?;
    }
    tx.commit().await.map_err(ApiError::failure)?;
    call.state.tokens.admit(&token);
    tracing::Span::current().record("instance.id", tracing::field::display(id));
    tracing::info!(instance.id = %id, "instance created");
    created.access_token = Some(token.expose().to_owned());
    Ok((id, created))
}

/// The row of a new instance, under an id that was never issued.
async fn draw(call: &Call, conn: &mut PgConnection, wish: &Wish, now: DateTime<Utc>) -> Result<Instance, ApiError> {
    let mut rng = call.state.rng();
    for _ in 0..DRAWS {
        let id = InstanceId::generate(&mut rng);
        let name = wish.name.clone().unwrap_or_else(|| id.session_name());
        let metadata = Value::Object(wish.metadata.clone());
        let drawn = Instance { id, name, metadata, config: json!({}), created_at: now };
        if instance::insert(conn, call.caller.account_id, &drawn).await? {
            return Ok(drawn);
        }
    }
    Err(ApiError::Internal("no free instance id was drawn".into()))
}
