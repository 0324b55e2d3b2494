//! `/link/{token}/sandbox-phone`: a phone of the sandbox scans the live code, so that a newcomer sees the whole onboarding
//! without a phone. Only in the flavour that cannot reach WhatsApp, and only where the sandbox runs inside the gateway.

use std::time::Duration;

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::api::auth;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::domain::token::Scope;

/// How long a code may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a phone and lets it scan.
#[tracing::instrument(skip_all, fields(instance.id))]
pub(super) async fn scan(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let sandbox = call.state.sandbox.clone().ok_or(ApiError::NotFound)?;
    let id = call.instance(target, Scope::Link).await?;
    let code = call.state.sessions.qr(id, PATIENCE).await;
    let code = code.map_err(|error| auth::refusal(error, call.state.clock.now()))?;
    let phone = ask(&format!("{sandbox}/phones"), &json!({ "name": "Sandbox phone" })).await?;
    let number = phone["number"].as_str().unwrap_or_default();
    ask(&format!("{sandbox}/phones/{number}/scan"), &json!({ "value": code.value.expose() })).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Asks the sandbox's control API as any test does.
async fn ask(url: &str, body: &Value) -> Result<Value, ApiError> {
    let answer = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        client.post(url).json(body).send().await?.error_for_status()?.json().await
    };
    answer.await.map_err(|error: reqwest::Error| ApiError::Internal(Box::new(error.without_url())))
}
