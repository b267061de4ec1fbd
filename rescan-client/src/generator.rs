//! A stream whose events an async function yields.
//!
//! The stream polls the function's future itself. So it needs no executor, and dropping the stream drops the future with
//! all that it holds, a running scan included. The function's state is lent to the future while it is polled; between two
//! polls the stream's owner can read it.
//!
//! Invariant: the future is polled only when all the events that it has yielded were taken. The state is ahead of them only as
//! long as [`Generator::next_ready`] returns an event.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use crate::error::ScanError;

/// The stream.
pub(crate) struct Generator<S, E> {
    /// None only while the future is polled.
    shared: Option<Box<Shared<S, E>>>,
    slot: Slot<S, E>,
    /// None once it has returned.
    future: Option<BoxFuture<'static, Result<(), ScanError>>>,
    /// Returned by the future, and not yet by the stream.
    error: Option<ScanError>,
}

struct Shared<S, E> {
    state: S,
    events: VecDeque<E>,
}

/// Holds the state while the future is polled. One thread at a time uses it: the lock is never waited for.
type Slot<S, E> = Arc<Mutex<Option<Box<Shared<S, E>>>>>;

/// The async function's access to its state and its stream.
pub(crate) struct Yielder<S, E>(Slot<S, E>);

impl<S, E> Generator<S, E> {
    pub(crate) fn new<F>(state: S, function: impl FnOnce(Yielder<S, E>) -> F) -> Self
    where
        F: Future<Output = Result<(), ScanError>> + Send + 'static,
    {
        let shared = Some(Box::new(Shared { state, events: VecDeque::new() }));
        let mut generator = Self { shared, slot: Slot::default(), future: None, error: None };
        generator.restart(function);
        generator
    }

    /// Drops the future and starts another on the same state. Events that were not taken stay.
    pub(crate) fn restart<F>(&mut self, function: impl FnOnce(Yielder<S, E>) -> F)
    where
        F: Future<Output = Result<(), ScanError>> + Send + 'static,
    {
        self.error = None;
        self.future = Some(function(Yielder(Arc::clone(&self.slot))).boxed());
    }

    pub(crate) fn state(&self) -> &S {
        &self.shared.as_ref().expect(LENT).state
    }

    pub(crate) fn state_mut(&mut self) -> &mut S {
        &mut self.shared.as_mut().expect(LENT).state
    }

    /// Returns an event that was yielded already, without polling.
    pub(crate) fn next_ready(&mut self) -> Option<E> {
        self.shared.as_mut().expect(LENT).events.pop_front()
    }
}

const LENT: &str = "the state is lent only while the future is polled";

impl<S, E> Stream for Generator<S, E>
where
    S: Unpin,
    E: Unpin,
{
    type Item = Result<E, ScanError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.next_ready() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(error) = this.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(future) = &mut this.future else { return Poll::Ready(None) };
            *lock(&this.slot) = this.shared.take();
            let polled = future.poll_unpin(cx);
            this.shared = lock(&this.slot).take();
            match polled {
                Poll::Ready(ended) => {
                    this.future = None;
                    this.error = ended.err();
                }
                Poll::Pending if this.shared.as_ref().is_some_and(|shared| !shared.events.is_empty()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S, E> Yielder<S, E> {
    /// Uses the state.
    pub(crate) fn with<T>(&self, use_state: impl FnOnce(&mut S) -> T) -> T {
        self.with_shared(|shared| use_state(&mut shared.state))
    }

    /// Yields events, and waits until the stream's reader has taken all of them.
    pub(crate) async fn yield_all(&self, events: impl IntoIterator<Item = E>) {
        self.with_shared(|shared| shared.events.extend(events));
        // No waker: the stream polls again once the events were taken, and not before.
        poll_fn(|_cx| match self.with_shared(|shared| shared.events.is_empty()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    pub(crate) async fn yield_one(&self, event: E) {
        self.yield_all([event]).await;
    }

    fn with_shared<T>(&self, use_shared: impl FnOnce(&mut Shared<S, E>) -> T) -> T {
        use_shared(lock(&self.0).as_mut().expect("the state is lent to the future for each poll"))
    }
}

fn lock<T>(slot: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::error::CallError;

    /// Counts up by one before each event, except that events 3 and 4 are yielded together; ends with an error.
    async fn count(yielder: Yielder<u32, u32>) -> Result<(), ScanError> {
        let next = || {
            yielder.with(|state| {
                *state += 1;
                *state
            })
        };
        yielder.yield_one(next()).await;
        yielder.yield_one(next()).await;
        yielder.yield_all([next(), next()]).await;
        yielder.yield_one(next()).await;
        Err(CallError::Ended.into())
    }

    #[tokio::test]
    async fn the_state_is_that_of_the_last_event_and_ahead_only_of_events_that_are_ready() {
        let mut stream = Generator::new(0, count);
        for event in 1..=5 {
            assert!(matches!(stream.next().await, Some(Ok(found)) if found == event));
            assert_eq!(*stream.state(), if event == 3 { 4 } else { event });
            if event == 3 {
                assert_eq!((stream.next_ready(), stream.next_ready()), (Some(4), None));
                break;
            }
        }
        assert!(matches!(stream.next().await, Some(Ok(5))));
        assert!(matches!(stream.next().await, Some(Err(_))));
        assert!(stream.next().await.is_none());
        stream.restart(count);
        assert!(matches!(stream.next().await, Some(Ok(6))), "the state is kept");
    }

    #[tokio::test]
    async fn dropping_the_stream_drops_the_future_in_mid_wait() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut stream = Generator::new((), async move |_yielder: Yielder<(), ()>| {
            let _held = sender;
            std::future::pending().await
        });
        assert!(stream.next().now_or_never().is_none());
        drop(stream);
        assert!(receiver.await.is_err());
    }
}
