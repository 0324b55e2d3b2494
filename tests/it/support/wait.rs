//! Waiting on a condition with a deadline: tests never sleep for a time and hope.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long a condition may take on a slow, busy machine. It is a bound, never a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer; panics with `what` at the deadline.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    until_within(PATIENCE, what, ask).await
}

/// [`until`] with a deadline of its own.
pub(crate) async fn until_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    ask: impl FnMut() -> F,
) -> T {
    within(patience, ask).await.unwrap_or_else(|| panic!("within {patience:?} it did not happen that {what}"))
}

/// Asks again and again until there is an answer; `None` at the deadline, for whoever can say more of it than this could.
pub(crate) async fn within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> Option<T> {
    let deadline = Instant::now() + patience;
    let answer = timeout_at(deadline, async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    });
    answer.await.ok()
}
