//! [`Finished`]: what is run to its end, whether or not anybody waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that goes on by itself, in a task of its own, if it is dropped before its end. Until then it needs none.
pub(super) struct Finished<F: Future<Output: Send + 'static> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send + 'static> + Send + 'static> Finished<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // What panics is at its end, and does not go on.
        let mut future = self.0.take().expect("it is not asked again after its end");
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(future);
        }
        polled
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        // Where the runtime is gone there is nobody left to go on.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(rest);
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
        let work = || {
            let (go, ends) = (go.clone(), ends.clone());
            Finished::new(async move {
                go.notified().await;
                ends.fetch_add(1, Ordering::SeqCst)
            })
        };
        let mut dropped = work();
        assert!(futures_util::poll!(&mut dropped).is_pending());
        drop(dropped);
        go.notify_one();
        for _ in 0..64 {
            yield_now().await;
        }
        assert_eq!(ends.load(Ordering::SeqCst), 1, "it went on");
        go.notify_one();
        assert_eq!(work().await, 1, "it is awaited to its end");
        yield_now().await;
        assert_eq!(ends.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_panics_does_not_go_on() {
        let polls = Arc::new(AtomicU32::new(0));
        let counted = polls.clone();
        let broken = Finished::new(async move {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("as it should");
        });
        assert!(tokio::spawn(broken).await.is_err());
        yield_now().await;
        assert_eq!(polls.load(Ordering::SeqCst), 1);
    }
}
