//! `/v2/admin/nodes`: which nodes are alive and what they own.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::extract::OperatorCall;
use crate::api::respond;
use crate::api::respond::time;
use crate::store::node;

#[derive(Serialize)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
struct Node {
    node_id: Uuid,
    name: String,
    addr: String,
    #[serde(serialize_with = "time")]
    started_at: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    expires_at: DateTime<Utc>,
    draining: bool,
    instances: u64,
}

/// Lists the nodes, the oldest first.
#[tracing::instrument(skip_all)]
pub async fn list(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut conn = call.state.store.acquire().await?;
    let living = node::living(&mut conn).await?;
    let nodes = living.into_iter().map(|node| Node {
        node_id: node.id.0,
        name: node.name,
        addr: node.addr,
        started_at: node.started_at,
        expires_at: node.expires_at,
        draining: node.draining,
        instances: node.instances,
    });
    Ok(respond::json(StatusCode::OK, &Nodes { nodes: nodes.collect() }))
}
