//! [`Current`]: a value in force, which may be replaced while it is in use.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Whoever holds a copy of it sees what replaces the value; what was taken out before stays as it was.
pub struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T> Current<T> {
    /// One that begins with `value`.
    pub fn new(value: T) -> Self {
        Self::of(Arc::new(value))
    }

    /// The same, of a value that others have too.
    pub fn of(value: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    /// The value in force.
    pub fn value(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has what is in force in `other` be in force here, from now on.
    pub fn follow(&self, other: &Self) {
        let value = other.value();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_copies_see_what_replaces_the_value_and_what_was_taken_out_stays() {
        let one = Current::new(1);
        let (copy, taken) = (one.clone(), one.value());
        one.follow(&Current::new(2));
        assert_eq!((*copy.value(), *taken), (2, 1));
    }
}
