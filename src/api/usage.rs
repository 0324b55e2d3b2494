//! `/v2/usage`: how much an account used of late, by day.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::outgoing::State;
use crate::store::{session_census, usage};

use super::error::ApiError;
use super::extract::Call;
use super::openapi::answers::EveryRoute;
use super::respond;

/// Days that are told of, today among them: as long as events and messages are kept unless configured otherwise.
pub(super) const DAYS: u8 = 7;

/// What an account used.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
struct Document {
    /// The oldest first; the last is today, in UTC.
    days: Vec<Day>,
    /// How many instances stand where now.
    #[schema(example = json!({"WORKING": 3, "STOPPED": 1}))]
    sessions: BTreeMap<String, i64>,
    /// How many stood where when they were counted, which is once an hour. The oldest first; an hour is left out in which no
    /// node ran or the account had no instances.
    hours: Vec<Hour>,
}

/// Where the instances stood in one hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfHour)]
struct Hour {
    /// When it began.
    hour: DateTime<Utc>,
    /// How many instances stood where.
    #[schema(example = json!({"WORKING": 3, "STOPPED": 1}))]
    sessions: BTreeMap<String, i32>,
}

/// The messages of one day.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageOfDay)]
struct Day {
    #[schema(value_type = String, format = Date, example = "2026-11-24")]
    date: NaiveDate,
    /// Messages that came in.
    #[schema(example = 12)]
    received: i64,
    /// Messages that were accepted and have reached WhatsApp.
    #[schema(example = 9)]
    sent: i64,
    /// Messages that were accepted and wait, or of which it is not known whether they were sent.
    #[schema(example = 0)]
    waiting: i64,
    /// Messages that were accepted and failed.
    #[schema(example = 1)]
    failed: i64,
}

/// Tells how much the account used, by day.
///
/// The messages of the last seven days in UTC, as far as they are kept, and where the instances stand and stood. Needs the
/// account's key.
#[utoipa::path(
    get, path = "/v2/usage", tag = "Account", operation_id = "usage",
    responses((status = 200, description = "What was used.", body = Document), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn usage(call: Call) -> Result<HttpResponse, ApiError> {
    call.account_key()?;
    let today = call.state.clock.now().date_naive();
    let first = today.checked_sub_days(Days::new(u64::from(DAYS) - 1)).unwrap_or(today);
    let since = first.and_time(NaiveTime::MIN).and_utc();
    let account = call.caller.account_id;
    let mut conn = call.state.store.acquire().await?;
    let mut days: BTreeMap<NaiveDate, Day> =
        first.iter_days().take(usize::from(DAYS)).map(|date| (date, Day { date, ..Day::default() })).collect();
    for (date, count) in usage::received(&mut conn, account, since).await? {
        days.entry(date).or_default().received += count;
    }
    for counted in usage::accepted(&mut conn, account, since).await? {
        let day = days.entry(counted.date).or_default();
        *day.of(&counted.state) += counted.count;
    }
    let sessions = usage::sessions(&mut conn, account).await?.into_iter().collect();
    let mut hours: BTreeMap<DateTime<Utc>, BTreeMap<String, i32>> = BTreeMap::new();
    for stood in session_census::of(&mut conn, account, since).await? {
        hours.entry(stood.hour).or_default().insert(stood.status, stood.count);
    }
    let hours = hours.into_iter().map(|(hour, sessions)| Hour { hour, sessions }).collect();
    let days = days.into_iter().map(|(date, day)| Day { date, ..day }).collect();
    Ok(respond::json(StatusCode::OK, &Document { days, sessions, hours }))
}

impl Day {
    /// Among which a message counts that stands there.
    fn of(&mut self, state: &str) -> &mut i64 {
        match State::parse(state) {
            Some(State::Sent | State::Delivered | State::Read) => &mut self.sent,
            Some(State::Failed) => &mut self.failed,
            // A word of a later release is no failure that this one knows of.
            Some(State::Queued | State::Sending | State::Unknown) | None => &mut self.waiting,
        }
    }
}
