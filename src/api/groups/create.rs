//! `/v2/groups`: a new group.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use serde_json::{Value, json};

use crate::api::directory::refusal;
use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::idempotency::{Claim, REPLAYED, Turn};
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::chat_id::ChatId;
use crate::domain::group::{MAX_NAME, MAX_NAMED};
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::StoreError;
use crate::store::idempotency::Answer;

use super::document::Document;

/// What an idempotency key is claimed for.
const OPERATION: &str = "groups.create";

/// What the caller asked for.
struct Wish {
    name: String,
    people: Vec<ChatId>,
}

/// Makes a group.
///
/// The instance is its superadmin. `participants` of the answer are those who are in it: somebody whose privacy settings
/// forbid it is not, and can be sent the invite code. With an `Idempotency-Key` the same request may be sent again for a
/// day and makes no second group.
#[utoipa::path(
    post, path = "/v2/groups", tag = "Groups", operation_id = "create_group",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("name" = String, Query, description = "What it is called.", min_length = 1, max_length = 100, example = "Tea"),
        ("participants" = Vec<String>, Query, description =
            "Who is added: chat ids or phone numbers, or objects that have one as `id`.", min_items = 1,
            max_items = 256, example = json!(["201012345678@c.us"])),
    ),
    responses(
        (status = 201, description = "The new group.", body = Document, headers(("Idempotency-Replayed"))),
        EveryRoute, OfInstance, OfStatus, Conflicting,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn create(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let key = call.idempotency_key(&mut read);
    let wish = wish(read)?;
    let id = call.instance(target, Scope::Send).await?;
    let claim = match call.claim(key, OPERATION, &wish.request(id)).await? {
        Turn::Ours(claim) => claim,
        Turn::Answered(kept) => {
            let document: Value = serde_json::from_str(&kept.body).map_err(|error| ApiError::Internal(error.into()))?;
            let mut answer = respond::json(StatusCode::CREATED, &document);
            answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(answer);
        }
    };
    let created = match call.state.sessions.create_group(id, &wish.name, &wish.people).await {
        Ok(group) => Document::new(group, true),
        Err(error) => {
            claim.release(&call).await;
            return Err(refusal(error, call.state.clock.now()));
        }
    };
    if let Err(error) = keep(&call, &claim, &created).await {
        // The group is there. An error would have the caller make another.
        tracing::warn!(error = &error as &dyn std::error::Error, "the answer to a repetition could not be kept");
    }
    Ok(respond::json(StatusCode::CREATED, &created))
}

fn wish(mut read: Read<'_>) -> Result<Wish, ApiError> {
    read.require("name");
    let name = read.text("name", MAX_NAME).map(str::trim);
    if name == Some("") {
        read.wrong::<()>("name", "must not be empty");
    }
    let people = read.people("participants", MAX_NAMED);
    read.finish()?;
    let (name, people) = name.zip(people).expect("without one there was a problem");
    Ok(Wish { name: name.to_owned(), people })
}

impl Wish {
    /// What makes two requests the same.
    fn request(&self, id: InstanceId) -> Value {
        let people: Vec<String> = self.people.iter().map(ToString::to_string).collect();
        json!({ "instance": id.to_string(), "name": self.name, "participants": people })
    }
}

/// Keeps the answer for those who ask again with the same key.
async fn keep(call: &Call, claim: &Claim, created: &Document) -> Result<(), ApiError> {
    if !claim.has_key() {
        return Ok(());
    }
    let body = serde_json::to_string(created).expect("our documents have no keys but text");
    let mut tx = call.state.store.begin().await?;
    claim.answer(call, &mut tx, Answer { status: StatusCode::CREATED.as_u16(), body, secret: None }).await?;
    tx.commit().await.map_err(StoreError::while_("keep the answer to a creation"))?;
    Ok(())
}
