//! [`Finished`]: what is run to its end, whether or not anybody waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A future that goes on by itself, in a task of its own, if it is dropped before its end. Until then it needs none.
pub(super) struct Finished<F: Future<Output: Send + 'static> + Send + 'static> {
    begun: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Finished<F> {
    /// Whatever goes on is one of `tasks`.
    pub(super) fn new(future: F, tasks: TaskTracker) -> Self {
        Self { begun: Some(Box::pin(future)), tasks }
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // What panics is at its end, and does not go on.
        let mut future = self.begun.take().expect("it is not asked again after its end");
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.begun = Some(future);
        }
        polled
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        // Where the runtime is gone there is nobody left to go on.
        if let (Some(rest), Ok(runtime)) = (self.begun.take(), Handle::try_current()) {
            self.tasks.spawn_on(rest, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn what_is_dropped_goes_on_and_what_is_at_its_end_does_not() {
        let (go, ends) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let tasks = TaskTracker::new();
        let work = || {
            let (go, ends) = (go.clone(), ends.clone());
            let waits = async move {
                go.notified().await;
                ends.fetch_add(1, Ordering::SeqCst)
            };
            Finished::new(waits, tasks.clone())
        };
        let mut dropped = work();
        assert!(futures_util::poll!(&mut dropped).is_pending());
        assert!(tasks.is_empty(), "it needs no task");
        drop(dropped);
        assert_eq!(tasks.len(), 1, "it goes on");
        go.notify_one();
        tasks.close();
        tasks.wait().await;
        assert_eq!(ends.load(Ordering::SeqCst), 1, "it went on to its end");
        go.notify_one();
        assert_eq!(work().await, 1, "it is awaited to its end");
        yield_now().await;
        assert_eq!(ends.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_panics_does_not_go_on() {
        let (polls, tasks) = (Arc::new(AtomicU32::new(0)), TaskTracker::new());
        let counted = polls.clone();
        let broken = async move {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("as it should");
        };
        assert!(tokio::spawn(Finished::new(broken, tasks.clone())).await.is_err());
        assert_eq!((tasks.len(), polls.load(Ordering::SeqCst)), (0, 1));
    }
}
