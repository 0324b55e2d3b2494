//! `/v2/session/create`: a new instance, its token, and, unless asked otherwise, its start.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::openapi::answers::EveryRoute;
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::session::{Desired, Status};
use crate::domain::token::{Scope, Token, TokenKind};
use crate::store::audit::Action;
use crate::store::instance::{self, Instance};
use crate::store::token::{self, Holder};
use crate::store::{account, lease, session};

use super::document::{session_name, time};

const MAX_NAME: usize = 100;

/// Ids are 60 random bits: a second draw is all but never needed, a fifth means something else is wrong.
const DRAWS: usize = 5;

/// The new instance; the only answer that ever shows its token.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
struct Created {
    instance_id: InstanceId,
    name: String,
    session_name: String,
    server_name: String,
    status: Status,
    /// The instance's token, with every scope.
    #[schema(example = "wgi_…")]
    access_token: String,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
}

/// What the caller asked for.
struct Wish {
    name: Option<String>,
    metadata: Map<String, Value>,
    desired: Desired,
}

/// Creates an instance.
///
/// The answer is the only one that shows its token. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/session/create", tag = "Sessions",
    params(
        ("name" = Option<String>, Query, description = "What people call it; made of the id unless given.",
            max_length = 100, example = "shop-7"),
        ("metadata" = Option<Object>, Query, description = "Kept with the instance and told with it.",
            example = json!({"tier": 1})),
        ("start" = Option<bool>, Query, description = "Whether to start it at once; true unless given.", example = true),
        ("config" = Option<Object>, Query, description = "Settings; today only empty `webhooks` and a null `proxy`."),
    ),
    responses((status = 201, description = "The new instance.", body = Created), EveryRoute),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn create(call: Call) -> Result<HttpResponse, ApiError> {
    let wish = wish(call.read())?;
    call.account_key()?;
    let desired = wish.desired;
    let (instance, token) = insert(&call, wish).await?;
    let status = match desired {
        Desired::Running => started(&call, instance.id).await,
        Desired::Stopped => Status::Stopped,
    };
    let created = Created {
        instance_id: instance.id,
        session_name: session_name(instance.id),
        name: instance.name,
        server_name: call.state.server_name.clone(),
        status,
        access_token: token.expose().to_owned(),
        created_at: instance.created_at,
    };
    Ok(respond::json(StatusCode::CREATED, &created))
}

/// Starts a new instance at once. Whatever prevents it must not cost the caller the only answer that shows the token: the
/// wish is recorded, and the reconciler comes back to it.
async fn started(call: &Call, id: InstanceId) -> Status {
    match call.state.sessions.start(id).await {
        Ok(view) => view.status,
        Err(error) => {
            tracing::warn!(instance.id = %id, error = %error, "a new instance waits for the reconciler to start it");
            Status::Starting
        }
    }
}

fn wish(mut read: Read<'_>) -> Result<Wish, ApiError> {
    let name = read.text("name", MAX_NAME).map(ToOwned::to_owned);
    let metadata = read.object("metadata").unwrap_or_default();
    let start = read.boolean("start").unwrap_or(true);
    if let Some(config) = read.object("config") {
        // Said now rather than ignored: neither can be set yet.
        let unset = |value: &Value| value.is_null() || value == &json!([]);
        if !config.iter().all(|(key, value)| matches!(key.as_str(), "webhooks" | "proxy") && unset(value)) {
            read.wrong::<()>("config", "may only hold an empty webhooks and a null proxy");
        }
    }
    read.finish()?;
    Ok(Wish { name, metadata, desired: if start { Desired::Running } else { Desired::Stopped } })
}

/// All rows of a new instance, or none.
async fn insert(call: &Call, wish: Wish) -> Result<(Instance, Token), ApiError> {
    let mut rng = call.state.rng();
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
    let mut instance = None;
    for _ in 0..DRAWS {
        let id = InstanceId::generate(&mut rng);
        let name = wish.name.clone().unwrap_or_else(|| session_name(id));
        let metadata = Value::Object(wish.metadata.clone());
        let drawn = Instance { id, name, metadata, config: json!({}), created_at: now };
        if instance::insert(&mut tx, account_id, &drawn).await? {
            instance = Some(drawn);
            break;
        }
    }
    let instance = instance.ok_or_else(|| ApiError::Internal("no free instance id was drawn".into()))?;
    session::insert(&mut tx, instance.id, wish.desired, now).await?;
    lease::insert(&mut tx, instance.id).await?;
    let token = Token::generate(TokenKind::Instance, &mut rng);
    let holder = Holder::Instance(account_id, instance.id);
    token::insert(&mut tx, call.state.uuid(), &token, holder, &Scope::ALL, now, None).await?;
    call.record(&mut tx, Action::InstanceCreated, instance.id, json!({})).await?;
    tx.commit().await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    tracing::Span::current().record("instance.id", tracing::field::display(instance.id));
    tracing::info!(instance.id = %instance.id, "instance created");
    Ok((instance, token))
}
