//! Several nodes on one database: one owner, one writer, one socket.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use wagate::cluster::{Cluster, NodeSettings, Owner};
use wagate::config::Config;
use wagate::domain::clock::{ManualClock, SystemClock};
use wagate::domain::lease::{Fence, NodeId};
use wagate::domain::session::{Desired, Status};
use wagate::store::session::SessionWrite;
use wagate::store::{Store, lease, node, session};
use wagate::supervisor::SupervisorError;

use crate::support::database::TestDatabase;
use crate::support::node::{PATIENCE, TestNode, create, mark_linked, midnight, until};
use crate::support::scripted_engine::ScriptedEngine;

async fn register(store: &Store, number: u128) -> NodeId {
    let id = NodeId(uuid::Uuid::from_u128(number));
    let mut conn = store.pool().acquire().await.expect("a connection");
    node::register(&mut conn, id, "127.0.0.1:1", "node", Duration::from_secs(30)).await.expect("registered");
    id
}

async fn claim(store: &Store, id: wagate::domain::instance::InstanceId, node: NodeId) -> Option<Fence> {
    let mut tx = store.begin().await.expect("a transaction");
    let fence = lease::claim(&mut tx, id, node).await.expect("claimed or not");
    tx.commit().await.expect("committed");
    fence
}

async fn expire(store: &Store, node: NodeId) {
    sqlx::query("UPDATE node SET expires_at = now() - interval '1 second' WHERE id = $1")
        .bind(node.0)
        .execute(store.pool())
        .await
        .expect("expired");
}

async fn bury(store: &Store) -> u64 {
    let mut conn = store.pool().acquire().await.expect("a connection");
    node::bury_expired(&mut conn).await.expect("buried")
}

fn write(status: Status) -> SessionWrite<'static> {
    SessionWrite {
        desired: Desired::Running,
        status,
        reason: None,
        since: midnight(),
        linked: false,
        profile: None,
        retry_at: None,
        rounds: 0,
        refused_until: None,
        retried: false,
        timelock_until: None,
    }
}

#[tokio::test]
async fn a_writer_with_an_old_epoch_changes_nothing_while_a_new_owner_writes() {
    let database = TestDatabase::fresh().await;
    let store = database.store();
    let id = create(store, Desired::Running, 1, 3).await[0];
    let (first, second) = (register(store, 1).await, register(store, 2).await);
    let old = claim(store, id, first).await.expect("free");
    expire(store, first).await;
    assert_eq!(bury(store).await, 1);

    // The new owner takes it over and writes; while its transaction is open the old one tries.
    let new = claim(store, id, second).await.expect("its owner is dead");
    assert!(new.epoch > old.epoch);
    let mut theirs = store.begin().await.expect("a transaction");
    assert!(lease::advance(&mut theirs, id, new, 1).await.expect("asked").is_some());
    session::save(&mut theirs, id, &write(Status::Working)).await.expect("written");
    let stale = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut ours = store.begin().await.expect("a transaction");
            let held = lease::hold(&mut ours, id, old).await.expect("asked");
            let advanced = lease::advance(&mut ours, id, old, 1).await.expect("asked");
            (held, advanced)
        })
    };
    theirs.commit().await.expect("committed");
    assert_eq!(stale.await.expect("it ended"), (false, None));

    let mut conn = store.pool().acquire().await.expect("a connection");
    let row = session::read(&mut conn, id).await.expect("read").expect("there");
    assert_eq!(row.status, Status::Working);
    assert_eq!(row.owner.expect("owned").0, second);
}

#[tokio::test]
async fn a_lease_of_a_living_node_is_not_to_be_had_and_a_dead_node_can_take_none() {
    let database = TestDatabase::fresh().await;
    let store = database.store();
    let id = create(store, Desired::Running, 1, 3).await[0];
    let (first, second) = (register(store, 1).await, register(store, 2).await);
    assert!(claim(store, id, first).await.is_some());
    assert_eq!(claim(store, id, second).await, None);
    // Run out, but not buried yet: it may be renewing at this very moment.
    expire(store, first).await;
    assert_eq!(claim(store, id, second).await, None);
    assert_eq!(claim(store, id, first).await, None);
    let mut conn = store.pool().acquire().await.expect("a connection");
    let renewed = node::renew(&mut conn, first, Duration::from_secs(30), false).await.expect("asked");
    assert!(!renewed, "a lease that ran out is never renewed");
    bury(store).await;
    assert!(claim(store, id, second).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_database_share_the_instances_and_never_both_run_one() {
    const COUNT: usize = 60;
    let database = TestDatabase::fresh().await;
    let clock = ManualClock::new(midnight());
    let engine = ScriptedEngine::new(Arc::new(clock.clone()));
    let ids = create(database.store(), Desired::Running, COUNT, 5).await;
    mark_linked(database.store(), &ids).await;
    for id in &ids {
        engine.link(*id);
    }
    let (one, two) = tokio::join!(
        TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 11),
        TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 12),
    );
    until("all run", async || {
        clock.advance(TimeDelta::milliseconds(100));
        engine.alive_in_all() == COUNT
    })
    .await;
    let mut here = [0, 0];
    for id in &ids {
        let owners = [&one, &two].map(|node| node.supervisor.clone());
        for (count, supervisor) in here.iter_mut().zip(owners) {
            *count += usize::from(supervisor.owner_of(*id).await.expect("looked up") == Owner::Here);
        }
    }
    assert_eq!(here[0] + here[1], COUNT, "each has one owner: {here:?}");

    // A request at the wrong node names the right one.
    for id in &ids {
        if one.supervisor.owner_of(*id).await.expect("looked up") != Owner::Here {
            let refused = one.supervisor.stop(*id).await;
            assert!(
                matches!(&refused, Err(SupervisorError::Elsewhere { addr }) if addr == "127.0.0.1:12"),
                "{refused:?}"
            );
            break;
        }
    }

    // One leaves; the other takes everything over.
    one.stop().await;
    until("the other runs all", async || {
        clock.advance(TimeDelta::seconds(1));
        let mut working = 0;
        for view in two.supervisor.views(&ids).await.expect("views") {
            working += usize::from(view.status == Status::Working);
        }
        working == COUNT
    })
    .await;
    assert_eq!(engine.most_at_once(), 1);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_instances_of_a_node_that_dies_are_taken_over_when_its_lease_has_run_out() {
    let database = TestDatabase::fresh().await;
    let clock = ManualClock::new(midnight());
    let engine = ScriptedEngine::new(Arc::new(clock.clone()));
    let id = create(database.store(), Desired::Running, 1, 5).await[0];
    mark_linked(database.store(), &[id]).await;
    engine.link(id);
    let dead = register(database.store(), 9).await;
    assert!(claim(database.store(), id, dead).await.is_some());
    let node = TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 11).await;
    for _ in 0..20 {
        clock.advance(TimeDelta::seconds(5));
        tokio::task::yield_now().await;
    }
    let refused = node.supervisor.start(id).await;
    assert!(matches!(refused, Err(SupervisorError::Elsewhere { .. })), "{refused:?}");
    assert_eq!(engine.starts_in_all(), 0);
    expire(database.store(), dead).await;
    until("it is taken over", async || {
        clock.advance(TimeDelta::seconds(1));
        node.supervisor.view(id).await.expect("a view").status == Status::Working
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_renew_drops_every_session_before_its_lease_runs_out_for_others() {
    let database = TestDatabase::fresh().await;
    let clock = ManualClock::new(midnight());
    let node_clock = ManualClock::new(midnight());
    let engine = ScriptedEngine::new(Arc::new(clock.clone()));
    let ids = create(database.store(), Desired::Running, 5, 5).await;
    mark_linked(database.store(), &ids).await;
    for id in &ids {
        engine.link(*id);
    }
    let node =
        TestNode::start(database.store(), Arc::new(engine.clone()), &clock, Arc::new(node_clock.clone()), 11).await;
    until("all run", async || {
        clock.advance(TimeDelta::milliseconds(100));
        engine.alive_in_all() == 5
    })
    .await;
    let tenure = node.cluster.tenure().expect("registered");
    // The database is gone for this node.
    database.pool().close().await;
    node_clock.advance(TimeDelta::seconds(20));
    assert!(!tenure.ended.is_cancelled());
    assert_eq!(engine.alive_in_all(), 5);
    node_clock.advance(TimeDelta::seconds(6));
    tokio::time::timeout(PATIENCE, tenure.ended.cancelled()).await.expect("distrusted");
    until("all are dropped", async || engine.alive_in_all() == 0).await;
    assert!(node.cluster.tenure().is_none());
}

#[tokio::test]
async fn a_node_whose_row_was_removed_registers_anew_under_another_id() {
    let database = TestDatabase::fresh().await;
    let config = Config::defaults();
    let mut settings = NodeSettings::from_config(&config.node, "node".into(), "127.0.0.1:1".into());
    settings.renew_interval = Duration::from_millis(20);
    let (cluster, task) = Cluster::new(database.store().clone(), Arc::new(SystemClock), settings, 4);
    let running = tokio::spawn(task.run(CancellationToken::new()));
    let mut tenures = cluster.tenures();
    let first = tenures.wait_for(Option::is_some).await.expect("open").clone().expect("some");
    expire(database.store(), first.node_id).await;
    let ended = tokio::time::timeout(PATIENCE, first.ended.cancelled()).await;
    assert!(ended.is_ok(), "the tenure ends");
    let second = tokio::time::timeout(
        PATIENCE,
        tenures.wait_for(|tenure| tenure.as_ref().is_some_and(|tenure| tenure.node_id != first.node_id)),
    )
    .await
    .expect("in time")
    .expect("open")
    .clone();
    assert!(second.is_some());
    cluster.resign();
    running.await.expect("it ends");
    let mut conn = database.store().pool().acquire().await.expect("a connection");
    assert_eq!(node::count_serving(&mut conn).await.expect("counted"), 0);
}
