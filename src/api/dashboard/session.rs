//! Sessions of the dashboard: begun with a key, listed, ended.

use actix_web::http::header::HeaderValue;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Refusal, refuse};
use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Token, TokenHash, TokenKind};
use crate::store::StoreError;
use crate::store::audit::{self, Action, Entry};
use crate::store::dashboard::{self, NewSession};
use crate::store::token;
use crate::telemetry::metrics::sign_in::{EXPIRED, REVOKED, UNKNOWN};

use super::Guest;

/// The cookie's name. The prefix makes browsers see to it that no other host, path or unencrypted page set it (RFC 6265bis,
/// 4.1.3).
pub const COOKIE: &str = "__Host-wagate";

/// How long a session lasts.
pub const LASTS: TimeDelta = TimeDelta::hours(12);

/// The value of `Set-Cookie` that ends a session in its browser.
pub const NO_COOKIE: HeaderValue =
    HeaderValue::from_static("__Host-wagate=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");

/// A session that has begun; its token is told to one browser.
pub struct Begun(Token);

/// What a session is begun by.
pub(super) struct Grant {
    pub(super) account_id: AccountId,
    pub(super) key_id: Uuid,
    pub(super) key_last4: String,
    /// In the audit log's words.
    pub(super) by: &'static str,
}

impl Begun {
    /// The value of `Set-Cookie`.
    pub fn cookie(&self) -> HeaderValue {
        let text = format!(
            "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
            self.0.expose(),
            LASTS.num_seconds()
        );
        HeaderValue::try_from(text).expect("a token is visible ASCII")
    }
}

/// A session as its account sees it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The last four characters of the key it came from.
    pub key_last4: String,
    /// What kind of browser it is in.
    pub agent: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, within a minute.
    pub used_at: DateTime<Utc>,
    /// Whether it is the caller's own.
    pub is_current: bool,
}

/// Begins a session with the account key that was typed. A failure draws from the bucket that all failed credentials of
/// the address draw from.
pub async fn sign_in(guest: &Guest) -> Result<Begun, ApiError> {
    let Some(key) = guest.key() else {
        guest.state.meter.sign_in_refused(UNKNOWN);
        return Err(refuse(&guest.state, guest.client, Refusal::Credential));
    };
    let outcome = with_key(guest, key.hash(), "key").await;
    if let Err(ApiError::Unauthorized) = &outcome {
        note_refused(guest, key.hash()).await;
    }
    outcome
}

/// Counts a key that opened nothing and, if it was an account's once, tells that account. As often as an address may fail
/// at all, so nobody fills the log with it.
async fn note_refused(guest: &Guest, key: TokenHash) {
    let why = match told_refused(guest, key).await {
        Ok(why) => why,
        Err(error) => {
            tracing::warn!(%error, "the audit log has no line of a sign-in that was refused");
            UNKNOWN
        }
    };
    guest.state.meter.sign_in_refused(why);
}

async fn told_refused(guest: &Guest, key: TokenHash) -> Result<&'static str, StoreError> {
    let state = &guest.state;
    if state.visits.take_lookup().is_err() {
        return Ok(UNKNOWN);
    }
    let now = state.clock.now();
    let mut conn = state.store.acquire().await?;
    let Some(ended) = token::find_ended_key(&mut conn, &key, now).await? else { return Ok(UNKNOWN) };
    let why = if ended.was_revoked { REVOKED } else { EXPIRED };
    let entry = Entry {
        at: now,
        account_id: ended.account_id,
        instance_id: None,
        actor: TokenKind::Account,
        actor_last4: &ended.last4,
        address: Some(guest.client),
        action: Action::DashboardSignInRefused,
        detail: json!({ "key": why, "agent": guest.agent() }),
    };
    audit::append(&mut conn, &entry).await?;
    Ok(why)
}

/// Begins a session for whom the operator lets in on this machine.
pub async fn sign_in_at_home(guest: &Guest) -> Result<Begun, ApiError> {
    let key = guest.key_at_home().await?;
    let Some(key) = key else { return Err(refuse(&guest.state, guest.client, Refusal::Credential)) };
    with_key(guest, key, "loopback").await
}

async fn with_key(guest: &Guest, key: TokenHash, by: &'static str) -> Result<Begun, ApiError> {
    let state = &guest.state;
    let caller = state.tokens.resolve_hash(key, &state.store, state.clock.now()).await;
    let caller = caller.map_err(|unresolved| refuse(state, guest.client, unresolved.into()))?;
    caller.limiter.check().map_err(ApiError::RateLimited)?;
    let grant = Grant { account_id: caller.account_id, key_id: caller.token_id, key_last4: caller.last4.clone(), by };
    let mut tx = state.store.begin().await?;
    let begun = begin(guest, &mut tx, &grant).await?;
    tx.commit().await.map_err(StoreError::while_("keep a session of the dashboard"))?;
    Ok(begun)
}

/// Begins a session; the caller commits.
pub(super) async fn begin(guest: &Guest, conn: &mut PgConnection, grant: &Grant) -> Result<Begun, ApiError> {
    let state = &guest.state;
    let now = state.clock.now().trunc_subsecs(6);
    let token = Token::generate(TokenKind::Session, &mut state.rng());
    let agent = guest.agent();
    let session = NewSession {
        id: state.uuid(),
        hash: token.hash(),
        account_id: grant.account_id,
        key_id: grant.key_id,
        agent: &agent,
        created_at: now,
        expires_at: now + LASTS,
    };
    dashboard::insert(conn, &session).await?;
    let entry = Entry {
        at: now,
        account_id: grant.account_id,
        instance_id: None,
        actor: TokenKind::Account,
        actor_last4: &grant.key_last4,
        address: Some(guest.client),
        action: Action::DashboardSignedIn,
        detail: json!({ "session_id": session.id, "by": grant.by, "agent": agent }),
    };
    audit::append(conn, &entry).await?;
    Ok(Begun(token))
}

/// The account's sessions, newest first.
pub async fn list(call: &Call) -> Result<Vec<Listed>, ApiError> {
    call.account_key()?;
    let mut conn = call.state.store.acquire().await?;
    let found = dashboard::list(&mut conn, call.caller.account_id, call.state.clock.now()).await?;
    let listed = found.into_iter().map(|found| Listed {
        is_current: call.session() == Some(found.id),
        id: found.id,
        key_last4: found.key_last4,
        agent: found.agent,
        created_at: found.created_at,
        used_at: found.used_at,
    });
    Ok(listed.collect())
}

/// Ends the caller's own session.
pub async fn sign_out(call: &Call) -> Result<(), ApiError> {
    let Some(own) = call.session() else { return Ok(()) };
    end(call, Some(own), json!({ "session_id": own })).await
}

/// Ends a session of the account.
pub async fn sign_out_other(call: &Call, id: Uuid) -> Result<(), ApiError> {
    end(call, Some(id), json!({ "session_id": id })).await
}

/// Ends every session of the account.
pub async fn sign_out_everywhere(call: &Call) -> Result<(), ApiError> {
    end(call, None, json!({ "everywhere": true })).await
}

async fn end(call: &Call, only: Option<Uuid>, detail: Value) -> Result<(), ApiError> {
    call.account_key()?;
    let mut tx = call.state.store.begin().await?;
    if dashboard::end(&mut tx, call.caller.account_id, only).await? > 0 {
        call.record(&mut tx, Action::DashboardSignedOut, None::<InstanceId>, detail).await?;
        tx.commit().await.map_err(StoreError::while_("end a session of the dashboard"))?;
    }
    Ok(())
}
