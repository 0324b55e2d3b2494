//! `/v2/audit`: who did what with an account's instances, newest first; and the lines a call leaves there.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::TokenKind;
use crate::store::StoreError;
use crate::store::audit::{self, Action, Entry, Filter, Line};

use super::error::ApiError;
use super::extract::{Call, OperatorCall, Target};
use super::openapi::answers::EveryRoute;
use super::respond::{self, time};
use super::tokens::Caller;

const MAX_LIMIT: u32 = 100;

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
struct Page {
    entries: Vec<Told>,
    /// For the parameter `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A line of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Told {
    #[schema(example = 42)]
    id: i64,
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    actor: Actor,
    /// Where the call came from.
    #[schema(required = true, example = "203.0.113.7")]
    address: Option<String>,
    #[schema(value_type = ActionWord)]
    action: String,
    /// Null for what concerns the account itself.
    #[schema(required = true, example = "7K2M9QX4T0AB")]
    instance_id: Option<String>,
    /// Particulars, by the action.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Whose token it was.
#[derive(Serialize, ToSchema)]
struct Actor {
    #[schema(example = "account")]
    kind: String,
    /// The token's last four characters.
    #[schema(required = true, example = "x7Qa")]
    last4: Option<String>,
}

/// [`Action`] in the document.
struct ActionWord;

impl utoipa::PartialSchema for ActionWord {
    fn schema() -> RefOr<Schema> {
        let words = Action::ALL.iter().map(|action| action.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

impl ToSchema for ActionWord {
    fn name() -> Cow<'static, str> {
        "AuditAction".into()
    }
}

/// Lists who did what with the account and its instances, newest first.
///
/// Needs the account's key. The lines of deleted instances stay; an instance that is not the account's has none.
#[utoipa::path(
    get, path = "/v2/audit", tag = "Account", operation_id = "audit",
    params(
        ("instance_id" = Option<InstanceId>, Query, description = "Only what was done with this instance."),
        ("action" = Option<ActionWord>, Query, description = "Only this.", example = "link.minted"),
        ("limit" = Option<u32>, Query, description = "Lines a page; 100 unless given.",
            minimum = 1, maximum = 100, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", max_length = 100),
    ),
    responses((status = 200, description = "A page.", body = Page), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn page(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let before = read.text("cursor", 100).and_then(|text| match parse(text) {
        Some(id) => Some(id),
        None => read.wrong("cursor", "was not given by a former page"),
    });
    let instance = read.named_instance();
    let words: Vec<(&str, Action)> = Action::ALL.iter().map(|action| (action.as_str(), *action)).collect();
    let action = read.word("action", &words);
    read.finish()?;
    call.account_key()?;
    let instance_id = match instance {
        None => None,
        Some(Target::Id(id)) => Some(id),
        Some(Target::Nobodys) => {
            return Ok(respond::json(StatusCode::OK, &Page { entries: vec![], next_cursor: None }));
        }
    };
    let mut conn = call.state.store.acquire().await?;
    // One more than asked for tells whether another page follows.
    let filter = Filter { instance_id, action };
    let mut lines = audit::page(&mut conn, call.caller.account_id, filter, before, limit + 1).await?;
    let is_last = lines.len() <= limit as usize;
    lines.truncate(limit as usize);
    let next_cursor = lines.last().filter(|_| !is_last).map(|line| URL_SAFE_NO_PAD.encode(line.id.to_string()));
    let entries = lines.into_iter().map(Told::from).collect();
    Ok(respond::json(StatusCode::OK, &Page { entries, next_cursor }))
}

/// Every action there is, as `action` takes it.
pub fn words() -> Vec<&'static str> {
    Action::ALL.iter().map(|action| action.as_str()).collect()
}

fn parse(cursor: &str) -> Option<i64> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?.parse().ok()
}

impl From<Line> for Told {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            at: line.at,
            actor: Actor { kind: line.actor, last4: line.actor_last4 },
            address: line.address,
            action: line.action,
            instance_id: line.instance_id,
            detail: line.detail,
        }
    }
}

/// Who did something, for what is found out after their request was answered.
pub(super) struct Witness {
    caller: Arc<Caller>,
    client: IpAddr,
}

impl Witness {
    /// Appends what they did to an instance or to the account itself.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        at: DateTime<Utc>,
        action: Action,
        instance_id: Option<InstanceId>,
        detail: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at,
            account_id: self.caller.account_id,
            instance_id,
            actor: self.caller.kind,
            actor_last4: &self.caller.last4,
            address: Some(self.client),
            action,
            detail,
        };
        audit::append(conn, &entry).await
    }
}

impl Call {
    /// Who calls.
    pub(super) fn witness(&self) -> Witness {
        Witness { caller: Arc::clone(&self.caller), client: self.client }
    }

    /// [`Call::record`] for what changed nothing in the database, without particulars.
    pub(super) async fn note(&self, action: Action, instance_id: InstanceId) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        self.record(&mut conn, action, instance_id, json!({})).await
    }

    /// Appends what this caller did, to an instance or to the account itself.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        action: Action,
        instance_id: impl Into<Option<InstanceId>>,
        detail: Value,
    ) -> Result<(), StoreError> {
        self.witness().record(conn, self.state.clock.now(), action, instance_id.into(), detail).await
    }
}

impl OperatorCall {
    /// Appends what the operator did to an account.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        action: Action,
        account_id: AccountId,
        detail: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at: self.state.clock.now(),
            account_id,
            instance_id: None,
            actor: TokenKind::Operator,
            actor_last4: &self.operator.last4,
            address: Some(self.client),
            action,
            detail,
        };
        audit::append(conn, &entry).await
    }
}
