//! The credentials of one holder, an instance's tokens or an account's keys: listed, minted, revoked, rotated. Both work
//! alike, and differ in one thing: an account keeps a key.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, Token};
use crate::store::audit::Action;
use crate::store::token::{self, Holder, Listed};
use crate::store::{StoreError, account};

use super::error::ApiError;
use super::extract::{Call, Read};
use super::respond;
use super::respond::{maybe_time, time};
use super::state::ApiState;

/// Live tokens of one holder at most: every node remembers each of them.
const MOST_LIVE: u64 = 100;

/// A token that ended is listed for this long.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

const MAX_NAME: usize = 100;
const TEN_YEARS: u32 = 315_360_000;
const THIRTY_DAYS: u32 = 2_592_000;
const DAY: u32 = 86_400;

/// What a new token is to be.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// What its holder calls it.
    pub(super) name: Option<String>,
    /// What an instance token may do.
    pub(super) scopes: Vec<Scope>,
    /// When it ends.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl Wish {
    /// Reads `name`, and `expires_in` or `expires_at`.
    pub(super) fn read(read: &mut Read<'_>, now: DateTime<Utc>) -> Self {
        let name = read.text("name", MAX_NAME).map(ToOwned::to_owned);
        let expires_in = read.integer("expires_in", 1..=TEN_YEARS);
        let expires_at = read.moment("expires_at").and_then(|moment| match expires_in {
            Some(_) => read.wrong("expires_at", "cannot be given together with expires_in"),
            None if moment <= now => read.wrong("expires_at", "must be in the future"),
            None => Some(moment.trunc_subsecs(6)),
        });
        let expires_at = expires_in.map(|seconds| now + TimeDelta::seconds(seconds.into())).or(expires_at);
        Self { name, scopes: Vec::new(), expires_at }
    }
}

/// Reads `token_id`, which must be given.
pub(super) fn token_id(read: &mut Read<'_>) -> Option<Uuid> {
    read.require("token_id");
    read.uuid("token_id")
}

/// Reads `overlap`: seconds for which a replaced token goes on.
pub(super) fn overlap(read: &mut Read<'_>) -> TimeDelta {
    TimeDelta::seconds(read.integer("overlap", 0..=THIRTY_DAYS).unwrap_or(DAY).into())
}

/// A token as it is listed: everything but the secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct Document {
    token_id: Uuid,
    /// Its last four characters.
    #[schema(example = "x7Qa")]
    last4: String,
    #[schema(required = true, example = "till 3")]
    name: Option<String>,
    /// What an instance token may do; an account's key has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Scope>, required = false)]
    scopes: Option<Vec<&'static str>>,
    state: State,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    #[schema(required = true)]
    #[serde(serialize_with = "maybe_time")]
    expires_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    #[serde(serialize_with = "maybe_time")]
    revoked_at: Option<DateTime<Utc>>,
    /// The key of this very call.
    current: bool,
}

/// Where a token stands.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenState)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    /// Replaced, and going on until it expires.
    Rotating,
    Expired,
    Revoked,
}

impl Document {
    pub(super) fn new(holder: Holder, listed: Listed, now: DateTime<Utc>, caller: Option<Uuid>) -> Self {
        let state = match (listed.revoked_at, listed.rotated_at) {
            (Some(_), _) => State::Revoked,
            (None, _) if !listed.is_live(now) => State::Expired,
            (None, Some(_)) => State::Rotating,
            (None, None) => State::Active,
        };
        let scopes = listed.scopes.iter().map(|scope| scope.as_str()).collect();
        Self {
            token_id: listed.id,
            last4: listed.last4,
            name: listed.name,
            scopes: matches!(holder, Holder::Instance(..)).then_some(scopes),
            state,
            created_at: listed.created_at,
            expires_at: listed.expires_at,
            revoked_at: listed.revoked_at,
            current: caller == Some(listed.id),
        }
    }
}

/// A new token, in the only answer that shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = MintedToken)]
pub(super) struct Minted {
    #[schema(example = "wgi_…")]
    access_token: String,
    #[serde(flatten)]
    document: Document,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Replaced, required = false)]
    replaces: Option<Replaced>,
}

/// The token that a new one was made for.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplacedToken)]
struct Replaced {
    token_id: Uuid,
    /// Until when it goes on.
    #[serde(serialize_with = "time")]
    expires_at: DateTime<Utc>,
}

/// That a token is revoked.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedToken)]
pub(super) struct Revoked {
    token_id: Uuid,
    revoked: bool,
}

/// The tokens, newest first.
pub(super) async fn list(call: &Call, holder: Holder) -> Result<Vec<Document>, ApiError> {
    let now = call.state.clock.now();
    let mut conn = call.state.store.acquire().await?;
    let listed = token::list(&mut conn, holder, now - REMEMBERED).await?;
    let caller = Some(call.caller.token_id);
    Ok(listed.into_iter().map(|listed| Document::new(holder, listed, now, caller)).collect())
}

/// Mints.
pub(super) async fn mint(call: &Call, holder: Holder, wish: Wish) -> Result<HttpResponse, ApiError> {
    let mut tx = call.state.store.begin().await?;
    lock(&mut tx, call.caller.account_id).await?;
    let (token, minted) = add(&call.state, &mut tx, holder, wish).await?;
    let detail = described(&minted.document);
    record(call, &mut tx, holder, (Action::TokenMinted, Action::KeyMinted), detail).await?;
    tx.commit().await.map_err(StoreError::while_("keep a new token"))?;
    call.state.tokens.admit(&token);
    Ok(respond::json(StatusCode::CREATED, &minted))
}

/// Revokes. A token that was revoked before stays so, and the answer is the same.
pub(super) async fn revoke(call: &Call, holder: Holder, id: Uuid) -> Result<HttpResponse, ApiError> {
    let (now, account_id) = (call.state.clock.now(), call.caller.account_id);
    let mut tx = call.state.store.begin().await?;
    lock(&mut tx, account_id).await?;
    let found = token::find(&mut tx, holder, id).await?.ok_or(ApiError::TokenNotFound)?;
    if found.revoked_at.is_none() {
        let opens = matches!(holder, Holder::Account(_)) && found.is_live(now);
        if opens && !token::has_other_lasting_key(&mut tx, account_id, id).await? {
            return Err(ApiError::LastAccountKey);
        }
        token::revoke(&mut tx, account_id, id, now).await?;
        let detail = json!({ "token_id": id, "last4": found.last4 });
        record(call, &mut tx, holder, (Action::TokenRevoked, Action::KeyRevoked), detail).await?;
        tx.commit().await.map_err(StoreError::while_("keep a revocation"))?;
        call.state.tokens.token_changed(id);
    }
    Ok(respond::json(StatusCode::OK, &Revoked { token_id: id, revoked: true }))
}

/// Replaces a live token by a new one with the same name, scopes and end; the old one goes on for `overlap`.
pub(super) async fn rotate(
    call: &Call,
    holder: Holder,
    id: Uuid,
    overlap: TimeDelta,
) -> Result<HttpResponse, ApiError> {
    let (now, account_id) = (call.state.clock.now().trunc_subsecs(6), call.caller.account_id);
    let mut tx = call.state.store.begin().await?;
    lock(&mut tx, account_id).await?;
    let old = token::find(&mut tx, holder, id).await?.filter(|old| old.is_live(now)).ok_or(ApiError::TokenNotFound)?;
    if old.rotated_at.is_some() {
        return Err(ApiError::TokenRotated);
    }
    let ends = old.expires_at.map_or(now + overlap, |expiry| expiry.min(now + overlap));
    token::retire(&mut tx, account_id, id, now, ends).await?;
    if overlap.is_zero() {
        token::revoke(&mut tx, account_id, id, now).await?;
    }
    let wish = Wish { name: old.name, scopes: old.scopes, expires_at: old.expires_at };
    let (token, mut minted) = add(&call.state, &mut tx, holder, wish).await?;
    minted.replaces = Some(Replaced { token_id: id, expires_at: ends });
    let mut detail = described(&minted.document);
    detail["replaces"] = json!({ "token_id": id, "last4": old.last4, "overlap_seconds": overlap.num_seconds() });
    record(call, &mut tx, holder, (Action::TokenRotated, Action::KeyRotated), detail).await?;
    tx.commit().await.map_err(StoreError::while_("keep a rotation"))?;
    call.state.tokens.admit(&token);
    call.state.tokens.token_changed(id);
    Ok(respond::json(StatusCode::CREATED, &minted))
}

/// Adds a token. The caller holds the account's lock, commits, and tells [`super::tokens::Tokens::admit`].
pub(super) async fn add(
    state: &ApiState,
    conn: &mut PgConnection,
    holder: Holder,
    wish: Wish,
) -> Result<(Token, Minted), ApiError> {
    // PostgreSQL keeps microseconds; what is answered now is what is listed later.
    let now = state.clock.now().trunc_subsecs(6);
    if token::count_live(conn, holder, now).await? >= MOST_LIVE {
        return Err(ApiError::TooManyTokens { max: MOST_LIVE });
    }
    let token = Token::generate(holder.kind(), &mut state.rng());
    let id = state.uuid();
    token::insert(conn, id, &token, holder, &wish.scopes, now, wish.expires_at).await?;
    if let Some(name) = &wish.name {
        token::name(conn, id, name).await?;
    }
    let listed = Listed {
        id,
        last4: token.last4().to_owned(),
        name: wish.name,
        scopes: wish.scopes,
        created_at: now,
        expires_at: wish.expires_at,
        rotated_at: None,
        revoked_at: None,
    };
    let document = Document::new(holder, listed, now, None);
    let minted = Minted { access_token: token.expose().to_owned(), document, replaces: None };
    Ok((token, minted))
}

/// What the audit log tells of a new token.
pub(super) fn described(document: &Document) -> serde_json::Value {
    json!({ "token_id": document.token_id, "last4": document.last4, "scopes": document.scopes })
}

impl Minted {
    /// The token without its secret.
    pub(super) fn document(&self) -> &Document {
        &self.document
    }
}

/// One change of an account's tokens at a time: the last key is counted, and so are the live ones.
async fn lock(conn: &mut PgConnection, id: AccountId) -> Result<(), ApiError> {
    account::lock(conn, id).await?.map(|_| ()).ok_or(ApiError::Unauthorized)
}

async fn record(
    call: &Call,
    conn: &mut PgConnection,
    holder: Holder,
    (of_instance, of_account): (Action, Action),
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    match holder {
        Holder::Instance(_, id) => call.record(conn, of_instance, id, detail).await,
        Holder::Account(_) | Holder::Operator => call.record(conn, of_account, None::<InstanceId>, detail).await,
    }
}
