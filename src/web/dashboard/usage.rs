//! `/dashboard/usage`: messages by day, and where the instances stand.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::usage;

use super::chrome::{Chrome, Place};
use super::plot::{Bar, Svg, draw};
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/usage.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    plot: Svg,
    days: Vec<Day>,
    sessions: BTreeMap<String, i64>,
    is_idle: bool,
}

#[derive(Deserialize)]
struct Usage {
    days: Vec<Day>,
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
    drawn(&Page { chrome, plot, days: usage.days, sessions: usage.sessions, is_idle })
}
