//! The API's own task: mending in time what is remembered of tokens, accounts and origins, giving back the memory of
//! idle limiters, deleting what was kept for a time that is over, and counting each hour where the instances stand.

use std::time::Duration;

use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, account, dashboard, idempotency, kept_secret, link, outbound, session_census, token};

use super::state::ApiState;
use super::usage::DAYS;

/// A change is looked for this far back each time: a transaction commits after the time it wrote.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// Which tokens are alive is read anew this often, to be rid of those that expired or went with their instance.
const RELOAD_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Limiters are pruned this often.
const PRUNE_INTERVAL: TimeDelta = TimeDelta::seconds(60);

/// Keeps an [`ApiState`] in shape.
#[derive(Debug)]
pub struct Upkeep {
    /// Whose state.
    pub state: Data<ApiState>,
    /// `limits.revocation_interval`.
    pub revocation_interval: Duration,
}

impl Upkeep {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let interval = TimeDelta::from_std(self.revocation_interval).unwrap_or(TimeDelta::MAX);
        let clock = std::sync::Arc::clone(&self.state.clock);
        let mut read_up_to = clock.now();
        let mut pruned_at = read_up_to;
        let mut loaded_at = read_up_to;
        let mut counted_in = None;
        self.read_origins().await;
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep_until(clock.now() + interval) => {}
            }
            let now = clock.now();
            match self.mend(now - read_up_to + OVERLAP).await {
                Ok(()) => read_up_to = now,
                // The next turn looks as far back as this one had to.
                Err(error) => tracing::warn!(error = %error.source, "changed tokens could not be read"),
            }
            if now - loaded_at >= RELOAD_INTERVAL {
                match self.state.tokens.load(&self.state.store, now).await {
                    Ok(()) => loaded_at = now,
                    Err(error) => tracing::warn!(error = %error.source, "live tokens could not be read"),
                }
            }
            self.read_origins().await;
            if now - pruned_at >= PRUNE_INTERVAL {
                self.state.prune();
                if let Err(error) = self.forget_expired(now).await {
                    tracing::warn!(error = %error.source, "what has expired could not be deleted");
                }
                pruned_at = now;
            }
            let hour = now.timestamp() / 3_600;
            if counted_in != Some(hour) {
                match self.count(now).await {
                    Ok(()) => counted_in = Some(hour),
                    Err(error) => tracing::warn!(error = %error.source, "where the instances stand was not counted"),
                }
            }
        }
    }

    async fn read_origins(&self) {
        if let Err(error) = self.state.origins.refresh(&self.state.store).await {
            tracing::warn!(error = %error.source, "the listed origins could not be read; those known stay");
        }
    }

    async fn forget_expired(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        kept_secret::forget_expired(&mut conn, now).await?;
        idempotency::forget_expired(&mut conn, now).await?;
        link::forget_expired(&mut conn, now).await?;
        dashboard::forget_expired(&mut conn, now).await?;
        session_census::prune(&mut conn, now - TimeDelta::days(DAYS.into())).await?;
        if let Some(keep_from) = now.checked_sub_signed(self.state.message_retention) {
            outbound::prune(&mut conn, keep_from).await?;
        }
        Ok(())
    }

    async fn count(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        session_census::take(&mut conn, now).await
    }

    async fn mend(&self, window: TimeDelta) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        let tokens = token::changed_within(&mut conn, window).await?;
        let accounts = account::changed_within(&mut conn, window).await?;
        self.state.tokens.apply(&tokens, &accounts);
        Ok(())
    }
}
