//! Waiting for something to become true: the only place that polls.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);

/// What a probe answers: a value, or what it saw instead.
pub trait Answer {
    type Value;
    fn into_result(self) -> Result<Self::Value, String>;
}

impl<T> Answer for Option<T> {
    type Value = T;
    fn into_result(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: Display> Answer for Result<T, E> {
    type Value = T;
    fn into_result(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Asks until the probe answers `Some` or `Ok`; panics with what was awaited and what
/// was seen last when that takes longer than `timeout`.
pub async fn eventually<A: Answer>(
    timeout: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> A,
) -> A::Value {
    let began = Instant::now();
    loop {
        let seen = match probe().await.into_result() {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(began.elapsed() < timeout, "waited {timeout:?} for {what}; last seen: {seen}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks for the whole duration and panics as soon as an answer is not the expected one.
pub async fn holds_for<T: PartialEq + Debug>(
    duration: Duration,
    what: &str,
    expected: T,
    mut probe: impl AsyncFnMut() -> T,
) {
    let began = Instant::now();
    while began.elapsed() < duration {
        let seen = probe().await;
        assert!(
            seen == expected,
            "{what} was to hold for {duration:?}, but after {:?} it was {seen:?}, not {expected:?}",
            began.elapsed()
        );
        tokio::time::sleep(INTERVAL).await;
    }
}
