//! `/v2/session/temp-link`: the address of a page on which a person links a phone, without an account or a key.
//!
//! The token in the address may do nothing else. An instance has one link: a new one closes the former for new visitors,
//! while pages that are open already go on for ten minutes.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use url::Url;
use utoipa::ToSchema;

use crate::api::error::{ApiError, StatusMismatch};
use crate::api::extract::{Call, Read};
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond::{self, maybe_time};
use crate::domain::instance::InstanceId;
use crate::domain::origin::Origin;
use crate::domain::session::Status;
use crate::domain::token::{Scope, Token, TokenKind};
use crate::store::audit::Action;
use crate::store::link::{self, Link};
use crate::store::token::{self, Holder};
use crate::store::{account_origin, kept_secret};

/// Seconds.
const DEFAULT_TTL: u32 = 30 * 60;
const MIN_TTL: u32 = 5 * 60;
const MAX_TTL: u32 = 72 * 60 * 60;

const MAX_RETURN_URL: usize = 2_048;

/// The link, or that there is none.
#[derive(Serialize, ToSchema)]
#[schema(as = TempLink)]
struct Shown {
    /// Whoever has it may link a phone to the instance, and nothing else.
    #[schema(required = true, example = "https://gateway.example.com/link/wgl_…")]
    link: Option<String>,
    #[schema(required = true)]
    #[serde(serialize_with = "maybe_time")]
    expires_at: Option<DateTime<Utc>>,
}

impl Shown {
    const NONE: Self = Self { link: None, expires_at: None };

    fn new(call: &Call, secret: &SecretString, expires_at: DateTime<Utc>) -> Self {
        let link = format!("{}/link/{}", call.state.public_url, secret.expose_secret());
        Self { link: Some(link), expires_at: Some(expires_at) }
    }
}

/// Shows the link of the page on which a person links a phone.
///
/// `link` is null if there is none, or if it has ended.
#[utoipa::path(
    get, path = "/v2/session/temp-link", tag = "Linking", operation_id = "show_temp_link",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The link, or none.", body = Shown), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance_unless_visiting(target, Scope::Link).await?;
    let now = call.state.clock.now();
    let mut conn = call.state.store.acquire().await?;
    let mut shown = Shown::NONE;
    if let Some((token, expires_at)) = link::current(&mut conn, id, now).await? {
        let secret = kept_secret::tell(&mut conn, &call.state.vault, call.caller.account_id, token, now).await?;
        shown = secret.map_or(Shown::NONE, |secret| Shown::new(&call, &secret, expires_at));
    }
    Ok(respond::json(StatusCode::OK, &shown))
}

/// Makes a link to a page on which a person links a phone.
///
/// The person needs neither an account nor a key. An instance has one link: a new one closes the former for new visitors,
/// pages that are open already go on for ten minutes. 422 `already_linked` where there is nothing to link.
#[utoipa::path(
    post, path = "/v2/session/temp-link", tag = "Linking", operation_id = "mint_temp_link",
    params(
        ("instance_id" = InstanceId, Query),
        ("ttl" = Option<u32>, Query, description = "Seconds for which the link works; 1800 unless given.",
            minimum = 300, maximum = 259_200, example = 1_800),
        ("return_url" = Option<String>, Query, max_length = 2048, example = "https://app.example.com/linked", description =
            "Where the page leads once a phone is linked: an http or https address whose origin the account lists."),
    ),
    responses((status = 200, description = "The new link.", body = Shown), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn mint(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let ttl = read.integer("ttl", MIN_TTL..=MAX_TTL).unwrap_or(DEFAULT_TTL);
    let return_url = return_url(&call, &mut read).await?;
    read.finish()?;
    let id = call.instance_unless_visiting(target, Scope::Link).await?;
    let view = call.state.sessions.view(id).await?;
    if view.linked {
        return Err(already_linked(id, view.status));
    }
    let mut tx = call.state.store.begin().await?;
    if link::lock(&mut tx, call.caller.account_id, id).await?.ok_or(ApiError::SessionNotFound)? {
        return Err(already_linked(id, view.status));
    }
    let (token, shown) = insert(&call, &mut tx, id, ttl, return_url).await?;
    tx.commit().await.map_err(ApiError::failure)?;
    call.state.tokens.admit(&token);
    Ok(respond::json(StatusCode::OK, &shown))
}

/// A new link in the place of the former. The caller's transaction holds the session.
async fn insert(
    call: &Call,
    conn: &mut PgConnection,
    id: InstanceId,
    ttl: u32,
    return_url: Option<String>,
) -> Result<(Token, Shown), ApiError> {
    // PostgreSQL keeps microseconds; what is answered now is what is answered later.
    let now = call.state.clock.now().trunc_subsecs(6);
    let expires_at = now + TimeDelta::seconds(ttl.into());
    link::replace(conn, id, now).await?;
    let token = Token::generate(TokenKind::Link, &mut call.state.rng());
    let token_id = call.state.uuid();
    let holder = Holder::Instance(call.caller.account_id, id);
    token::insert(conn, token_id, &token, holder, &[], now, Some(expires_at)).await?;
    kept_secret::keep(conn, &call.state.vault, (id, token_id), token.expose(), expires_at).await?;
    link::insert(conn, &Link { token_id, instance_id: id, return_url, created_at: now, expires_at }).await?;
    call.record(conn, Action::LinkMinted, id, json!({ "ttl": ttl, "link_last4": token.last4() })).await?;
    let shown = Shown::new(call, &SecretString::from(token.expose()), expires_at);
    Ok((token, shown))
}

/// Ends the link, also for pages that are open.
#[utoipa::path(
    delete, path = "/v2/session/temp-link", tag = "Linking", operation_id = "end_temp_link",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "There is none.", body = Shown), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn end(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance_unless_visiting(target, Scope::Link).await?;
    end_all(&call, id).await?;
    Ok(respond::json(StatusCode::OK, &Shown::NONE))
}

/// Ends every link of an instance, on this node at once and on the others as revocations do.
pub(super) async fn end_all(call: &Call, id: InstanceId) -> Result<(), ApiError> {
    let mut tx = call.state.store.begin().await?;
    let ended = link::end(&mut tx, id, call.state.clock.now()).await?;
    if !ended.is_empty() {
        call.record(&mut tx, Action::LinkEnded, id, json!({})).await?;
    }
    tx.commit().await.map_err(ApiError::failure)?;
    for token_id in ended {
        call.state.tokens.token_changed(token_id);
    }
    Ok(())
}

/// Where the page may lead to: an open redirect would lend our address to anybody.
async fn return_url(call: &Call, read: &mut Read<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = read.text("return_url", MAX_RETURN_URL) else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| url.username().is_empty() && url.password().is_none());
    if let Some((url, origin)) = url.and_then(|url| Origin::of(&url).map(|origin| (url, origin))) {
        let mut conn = call.state.store.acquire().await?;
        if account_origin::of(&mut conn, call.caller.account_id).await?.contains(&origin) {
            return Ok(Some(url.into()));
        }
    }
    Ok(read.wrong("return_url", "must be an http or https address whose origin the account lists"))
}

fn already_linked(id: InstanceId, status: Status) -> ApiError {
    ApiError::SessionStatus(StatusMismatch {
        code: "already_linked",
        instance_id: id,
        status,
        expected: &[Status::ScanQrCode],
        recovering: false,
        retry_after: None,
    })
}
