//! What must hold at every step, and what an end must mean.

// It exists to be watched by tests: what must never be ends it.
#![allow(clippy::unwrap_used)]

use super::{Stored, World};
use fleet::OperationState;
use fleet::operation::Request;

impl World {
    /// Nothing that must not be repeated ran twice, and what is over stays over.
    pub(super) fn check(&mut self) {
        for (op, count) in &self.ran {
            let stored = self
                .store
                .iter()
                .find(|s| s.op.id.to_string() == *op)
                .unwrap();
            assert!(
                *count <= 1 || stored.op.request.is_idempotent(),
                "{op} ran {count} times"
            );
        }
        for stored in &self.store {
            if stored.op.state.is_final() {
                self.ended.insert(stored.op.id);
            }
            assert!(stored.op.state.is_final() || !self.ended.contains(&stored.op.id));
        }
    }

    /// What an end says must be what happened.
    pub fn check_end(&self) {
        use OperationState as S;
        for Stored { op, .. } in &self.store {
            let ran = self.ran.get(&op.id.to_string()).copied().unwrap_or(0);
            match op.state {
                _ if op.request.is_read() => {}
                S::Succeeded => {
                    assert!(ran >= 1, "{op:?}");
                    if let Some(row) = self.made.get(&op.id.to_string()) {
                        assert_eq!(op.progress.rows, [row.as_str()], "{op:?}");
                    }
                }
                S::Expired => assert_eq!(ran, 0, "{op:?}"),
                S::Cancelled => {
                    let stopped = op.outcome.cause.as_deref() == Some("the device stopped it");
                    assert!(ran == 0 || stopped, "{op:?}");
                }
                S::Failed if matches!(op.request, Request::Add { .. }) => {
                    assert_eq!(ran, 0, "{op:?}");
                }
                _ => {}
            }
        }
    }
}
