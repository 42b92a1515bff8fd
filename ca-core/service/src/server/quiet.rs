//! A part of a task that is left alone while the task is woken for something else.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Work that is polled only after it was woken itself.
///
/// To ask whether the daemon ends takes a lock that all connections share, and a timer has
/// its price, too: beside an answer from memory that is much, and for each request in vain.
pub(super) struct Quiet<W> {
    work: Pin<Box<W>>,
    call: Arc<Call>,
}

struct Call {
    came: AtomicBool,
    task: Waker,
}

impl<W: Future> Quiet<W> {
    /// `work` in the task that awaits this, where it must stay.
    pub(super) async fn new(work: W) -> Self {
        let task = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        // The first poll is due.
        Self { work: Box::pin(work), call: Arc::new(Call { came: AtomicBool::new(true), task }) }
    }
}

impl<W: Future> Future for Quiet<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<W::Output> {
        if !self.call.came.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before the poll: who calls during it is heard by the next one.
        self.call.came.store(false, Ordering::Release);
        let waker = Waker::from(self.call.clone());
        self.work.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.came.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn polled_when_it_is_woken_itself_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (ready, told) = tokio::sync::oneshot::channel();
            let mut polls = 0;
            let mut told = Box::pin(told);
            let work = poll_fn(|context| {
                polls += 1;
                told.as_mut().poll(context)
            });
            let mut quiet = Box::pin(Quiet::new(work).await);
            for _ in 0..3 {
                let pending = poll_fn(|context| Poll::Ready(quiet.as_mut().poll(context).is_pending())).await;
                assert!(pending);
            }
            ready.send(7).unwrap();
            let limit = Duration::from_secs(20);
            assert_eq!(tokio::time::timeout(limit, quiet).await.unwrap(), Ok(7));
            assert_eq!(polls, 2);
        });
    }
}
