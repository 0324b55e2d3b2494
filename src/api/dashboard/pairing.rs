//! Signing a phone in by what a QR on another screen holds.
//!
//! A pairing token is good for one sign-in to one account within a minute, and for nothing else: it is no session, is
//! kept as a hash, and is deleted by whoever redeems it. Looking at it names the account, so that a person can tell what
//! they are about to enter; only a tap redeems it, because a camera app opens addresses by itself.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Refusal, refuse};
use crate::domain::instance::InstanceId;
use crate::domain::token::{Token, TokenKind};
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::store::dashboard::{self, Pairing};

use super::Guest;
use super::session::{Begun, Grant, begin};

/// How long a code can be redeemed.
pub const LASTS: TimeDelta = TimeDelta::seconds(60);

/// What a code stands for.
pub struct Seen {
    /// What the account is called.
    pub account_name: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Makes a token for the caller's account.
pub(super) async fn make(call: &Call) -> Result<Token, ApiError> {
    let now = call.state.clock.now().trunc_subsecs(6);
    let token = Token::generate(TokenKind::Pairing, &mut call.state.rng());
    let of = (call.caller.account_id, call.caller.token_id);
    let mut tx = call.state.store.begin().await?;
    dashboard::insert_pairing(&mut tx, &token.hash(), of, now, now + LASTS).await?;
    let detail = json!({ "expires_in": LASTS.num_seconds() });
    call.record(&mut tx, Action::SignInQrShown, None::<InstanceId>, detail).await?;
    tx.commit().await.map_err(StoreError::while_("keep a sign-in code"))?;
    Ok(token)
}

/// Tells what a token stands for, and leaves it as it is.
pub async fn look(guest: &Guest) -> Result<Seen, ApiError> {
    let mut conn = guest.state.store.acquire().await?;
    let pairing = find(guest, &mut conn).await?;
    Ok(Seen { account_name: pairing.account_name, expires_at: pairing.expires_at })
}

/// Uses a token up for a session.
pub async fn redeem(guest: &Guest) -> Result<Begun, ApiError> {
    let mut tx = guest.state.store.begin().await?;
    let pairing = find(guest, &mut tx).await?;
    let hash = guest.pairing().ok_or(ApiError::Unauthorized)?;
    if !dashboard::redeem_pairing(&mut tx, &hash).await? {
        return Err(refuse(&guest.state, guest.client, Refusal::Credential));
    }
    let grant =
        Grant { account_id: pairing.account_id, key_id: pairing.key_id, key_last4: pairing.key_last4, by: "qr" };
    let begun = begin(guest, &mut tx, &grant).await?;
    tx.commit().await.map_err(StoreError::while_("redeem a sign-in code"))?;
    Ok(begun)
}

/// Absent, redeemed and expired are one refusal, and count as one failed credential.
async fn find(guest: &Guest, conn: &mut PgConnection) -> Result<Pairing, ApiError> {
    let refused = || refuse(&guest.state, guest.client, Refusal::Credential);
    let hash = guest.pairing().ok_or_else(refused)?;
    let looked = guest.state.visits.take_lookup();
    looked.map_err(|unresolved| refuse(&guest.state, guest.client, unresolved.into()))?;
    dashboard::find_pairing(conn, &hash, guest.state.clock.now()).await?.ok_or_else(refused)
}
