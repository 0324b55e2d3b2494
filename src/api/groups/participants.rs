//! A change to who is in a group: what adding and removing have in common.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::directory::group_refusal;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::group::{Change, Changed, MAX_NAMED};
use crate::domain::token::Scope;

use super::document::Person;

/// What became of each.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupChanges)]
pub(super) struct Outcomes {
    participants: Vec<ParticipantChange>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupChange)]
struct ParticipantChange {
    #[serde(flatten)]
    person: Person,
    /// `done`; or `invite_only`: their privacy settings forbid it, send them the invite code; `left_recently`: only by the
    /// invite code; `already_member`; `not_found`: not on WhatsApp, or not in the group; `group_full`; `not_allowed`: they
    /// blocked the account, or made the group; `refused`: see `code`.
    #[schema(value_type = String, example = "done")]
    outcome: &'static str,
    /// WhatsApp's own code.
    #[schema(example = 200)]
    code: u16,
}

/// Changes who is in the group that a request names.
pub(super) async fn change(call: &Call, change: Change) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let group = call.group(&mut read);
    let people = read.people("participants", MAX_NAMED);
    read.finish()?;
    let (group, people) = group.zip(people).expect("without one there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let changed = call.state.sessions.change_members(id, &group, change, &people).await;
    let changed = changed.map_err(|error| group_refusal(error, call.state.clock.now()))?;
    let participants = changed.into_iter().map(ParticipantChange::from).collect();
    Ok(respond::json(StatusCode::OK, &Outcomes { participants }))
}

impl From<Changed> for ParticipantChange {
    fn from(changed: Changed) -> Self {
        Self { outcome: changed.outcome().as_str(), code: changed.code, person: changed.person.into() }
    }
}
