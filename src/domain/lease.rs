//! Leases: who may write an instance's state.

use uuid::Uuid;

/// One boot of one node. A node that lost its lease registers anew under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub Uuid);

/// The right to write an instance's state: every write transaction proves it against `instance_lease` first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The node that holds the lease.
    pub node_id: NodeId,
    /// The instance's epoch under that lease; it grows with every change of owner.
    pub epoch: i64,
}
