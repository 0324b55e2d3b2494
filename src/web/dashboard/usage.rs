//! `/dashboard/usage`: messages by day, and where the instances stand and stood.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use askama::Template;
use chrono::{DateTime, NaiveDate, Timelike as _, Utc};
use serde::Deserialize;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::usage;
use crate::domain::session::Status;

use super::chrome::{Chrome, Place};
use super::plot::{Bar, Svg, draw, pile};
use super::told::{drawn, shown, told};

/// What the states come to, from the floor up.
const KINDS: [&str; 4] = ["working", "linking", "failed", "stopped"];

/// Hours that are drawn: a week.
const HOURS: i64 = 7 * 24;

#[derive(Template)]
#[template(path = "dashboard/usage.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    plot: Svg,
    days: Vec<Day>,
    sessions: BTreeMap<String, i64>,
    is_idle: bool,
    states: Svg,
    stood: Vec<Stood>,
}

/// The most instances that stood somewhere at one hour of a day, by [`KINDS`].
struct Stood {
    date: NaiveDate,
    most: [i64; KINDS.len()],
}

#[derive(Deserialize)]
struct Usage {
    days: Vec<Day>,
    sessions: BTreeMap<String, i64>,
    hours: Vec<Hour>,
}

#[derive(Deserialize)]
struct Hour {
    hour: DateTime<Utc>,
    sessions: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct Day {
    date: String,
    received: i64,
    sent: i64,
    waiting: i64,
    failed: i64,
}

/// Shows it.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(counted(call).await)
}

async fn counted(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Usage).await?;
    let usage: Usage = told(usage::usage(call.asking(&[])?).await).await?;
    let bars: Vec<Bar> = usage
        .days
        .iter()
        .map(|day| Bar {
            label: day.date.get(5..).unwrap_or_default().to_owned(),
            values: vec![day.sent, day.received],
        })
        .collect();
    let is_idle = bars.iter().all(|bar| bar.values.iter().all(|value| *value == 0));
    let plot = draw(&bars, "Messages sent and received by day; the table below has the numbers");
    let hours = hours(&usage.hours, call.state.clock.now());
    let states = states(&hours);
    let stood = by_day(&hours);
    drawn(&Page { chrome, plot, days: usage.days, sessions: usage.sessions, is_idle, states, stood })
}

/// An hour, and how many instances stood where in it, if that was counted.
type Counted = (DateTime<Utc>, Option<[i64; KINDS.len()]>);

fn kind(status: &str) -> usize {
    match Status::parse(status) {
        Some(Status::Working) => 0,
        Some(Status::Failed) => 2,
        Some(Status::Stopped) => 3,
        // A word of a later release is no end that this one knows of.
        Some(Status::Starting | Status::ScanQrCode | Status::PasskeyRequired | Status::PasskeyConfirmationRequired)
        | None => 1,
    }
}

/// The last week, hour by hour.
fn hours(counted: &[Hour], now: DateTime<Utc>) -> Vec<Counted> {
    let mut known: BTreeMap<i64, [i64; KINDS.len()]> = BTreeMap::new();
    for Hour { hour, sessions } in counted {
        let pile = known.entry(hour.timestamp() / 3_600).or_default();
        for (status, count) in sessions {
            pile[kind(status)] += count;
        }
    }
    let last = now.timestamp() / 3_600;
    let hours = (last - HOURS + 1)..=last;
    hours.filter_map(|hour| Some((DateTime::from_timestamp(hour * 3_600, 0)?, known.get(&hour).copied()))).collect()
}

fn states(hours: &[Counted]) -> Svg {
    let labelled = |hour: &DateTime<Utc>| (hour.hour() == 0).then(|| hour.format("%m-%d").to_string());
    let hours: Vec<_> = hours.iter().map(|(hour, pile)| (labelled(hour), *pile)).collect();
    pile(&hours, KINDS, "Instances by state and hour; the table below has the highest numbers of each day")
}

/// Days of which something is known, the oldest first.
fn by_day(hours: &[Counted]) -> Vec<Stood> {
    let mut days: BTreeMap<NaiveDate, [i64; KINDS.len()]> = BTreeMap::new();
    for (hour, pile) in hours.iter().filter_map(|(hour, pile)| Some((hour, (*pile)?))) {
        let most = days.entry(hour.date_naive()).or_default();
        most.iter_mut().zip(pile).for_each(|(most, count)| *most = (*most).max(count));
    }
    days.into_iter().map(|(date, most)| Stood { date, most }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_of_hours_is_laid_out_with_gaps_where_nothing_was_counted() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let at = |hours: i64| DateTime::from_timestamp((now.timestamp() / 3_600 - hours) * 3_600, 0).unwrap();
        let counted = |hours: i64, sessions: &[(&str, i64)]| Hour {
            hour: at(hours),
            sessions: sessions.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect(),
        };
        let told = [
            counted(HOURS, &[("WORKING", 9)]),
            counted(1, &[("WORKING", 3), ("STARTING", 1), ("SCAN_QR_CODE", 2), ("FAILED", 1)]),
            counted(0, &[("WORKING", 2), ("STOPPED", 5)]),
        ];
        let hours = hours(&told, now);
        assert_eq!((hours.len(), hours[0].0), (168, at(HOURS - 1)));
        assert!(hours[..166].iter().all(|(_, pile)| pile.is_none()), "what is older is not drawn");
        assert_eq!((hours[166].1, hours[167].1), (Some([3, 3, 1, 0]), Some([2, 0, 0, 5])));
        let days = by_day(&hours);
        assert_eq!((days.len(), days[0].most), (1, [3, 3, 1, 5]));
    }
}
