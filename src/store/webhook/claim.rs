//! What claims of streams and of single events have in common.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::lease::NodeId;
use crate::domain::webhook::{Order, Subscription, WebhookId};
use crate::store::StoreError;

/// Who claims, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Claimant {
    /// Its node, which must be alive.
    pub node: NodeId,
    /// The present.
    pub now: DateTime<Utc>,
    /// When the claim runs out.
    pub until: DateTime<Utc>,
}

/// How much more a worker takes on.
#[derive(Debug, Clone)]
pub struct Free {
    /// In all.
    pub slots: usize,
    /// As many of one endpoint, those under way counted.
    pub per_endpoint: usize,
    /// What is under way.
    pub under_way: HashMap<WebhookId, usize>,
}

impl Free {
    /// For SQL: the endpoints with something under way, and how much.
    pub(super) fn columns(&self) -> (Vec<uuid::Uuid>, Vec<i64>) {
        self.under_way.iter().map(|(id, count)| (id.0, number(*count))).unzip()
    }
}

/// To whom an event is told, and what of its instance is told with it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The endpoint.
    pub endpoint_id: WebhookId,
    /// Whose it is.
    pub account_id: AccountId,
    /// The instance.
    pub instance_id: InstanceId,
    /// The kinds it wants.
    pub subscription: Subscription,
    /// In which order.
    pub order: Order,
    /// [`super::endpoint::Confidential`], sealed.
    pub sealed: Vec<u8>,
    /// Whether all that was sent to it lately failed.
    pub is_failing: bool,
    /// What the instance's owner noted of it.
    pub metadata: Value,
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).expect("a count is far below the number of rows")
}

/// Reads the word of a column.
pub(super) fn order(word: &str) -> Result<Order, StoreError> {
    Order::parse(word).ok_or(StoreError::unreadable("read a webhook", "delivery_order"))
}
