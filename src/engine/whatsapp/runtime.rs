//! The tasks of one run.
//!
//! The library starts dozens of tasks and leaves some of them behind: after a shutdown in the QR phase its rotation
//! goes on for up to 160 seconds. Here each task of a run is registered, and ending the run drops them all and waits
//! until the last one is gone, so that nothing of it can speak or write afterwards. It also keeps the tasks on the main
//! runtime, whatever thread a run was started from: the HTTP server's workers have one thread each.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::runtime::{AbortHandle, Runtime};

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where the tasks of a run live. Cheap to clone. It counts tasks, it does not collect them: a finished one costs
/// nothing.
#[derive(Debug, Clone)]
pub(super) struct RunRuntime {
    handle: Handle,
    tasks: TaskTracker,
    over: CancellationToken,
}

impl RunRuntime {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, tasks: TaskTracker::new(), over: CancellationToken::new() }
    }

    /// Starts one more task of the run.
    pub(super) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.tasks.spawn_on(
            async move {
                over.run_until_cancelled(task).await;
            },
            &self.handle,
        );
    }

    /// Drops every task of the run and waits until they are gone. A task started later ends at once.
    pub(super) async fn end(&self) {
        self.over.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[async_trait]
impl Runtime for RunRuntime {
    fn spawn(&self, future: Task) -> AbortHandle {
        let over = self.over.clone();
        let task = self.tasks.spawn_on(
            async move {
                over.run_until_cancelled(future).await;
            },
            &self.handle,
        );
        let task = task.abort_handle();
        AbortHandle::new(move || task.abort())
    }

    fn spawn_detached(&self, future: Task) {
        self.start(future);
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // The timer belongs to the runtime it is made on.
        let _entered = self.handle.enter();
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(&self, f: Box<dyn FnOnce() + Send + 'static>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let job = self.tasks.spawn_blocking_on(f, &self.handle);
        Box::pin(async move {
            // A job that panicked has no result, and the library's own channel says so.
            let _ = job.await;
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct CountsDrop(Arc<AtomicUsize>);

    impl Drop for CountsDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn ending_a_run_drops_every_task_before_it_returns() {
        let runtime = RunRuntime::new(Handle::current());
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..8 {
            let guard = CountsDrop(Arc::clone(&dropped));
            runtime.spawn_detached(Box::pin(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }));
        }
        runtime.end().await;
        assert_eq!(dropped.load(Ordering::SeqCst), 8);
    }

    #[tokio::test]
    async fn a_task_started_after_the_end_does_nothing() {
        let runtime = RunRuntime::new(Handle::current());
        runtime.end().await;
        let (said, heard) = tokio::sync::oneshot::channel();
        runtime.start(async move {
            tokio::task::yield_now().await;
            let _ = said.send(());
        });
        assert!(heard.await.is_err());
    }

    #[tokio::test]
    async fn finished_tasks_are_not_kept() {
        let runtime = RunRuntime::new(Handle::current());
        for _ in 0..100 {
            runtime.spawn(Box::pin(async {})).detach();
        }
        runtime.tasks.close();
        runtime.tasks.wait().await;
        assert!(runtime.tasks.is_empty());
    }
}
