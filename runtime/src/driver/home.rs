//! Runtimes by number: a shard of each that lives, for what was made in one runtime and is used in another, or in none.
//!
//! Locked only then. A runtime enters when it is made and leaves when it is gone; between its end and that its shard is
//! closed, which counts as gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::shard::Shard;
use crate::fork::PerProcess;

static HOMES: PerProcess<RwLock<BTreeMap<u32, Weak<Shard>>>> =
    PerProcess::new(|| RwLock::new(BTreeMap::new()));

/// The runtime of that number lives, and this is one of its shards.
pub(crate) fn enter_home(runtime: u32, shard: &Arc<Shard>) {
    HOMES.get().write().insert(runtime, Arc::downgrade(shard));
}

/// The runtime is gone.
pub(crate) fn leave_home(runtime: u32) {
    HOMES.get().write().remove(&runtime);
}

/// In the child of a fork: it has no runtimes yet.
pub(crate) fn begin_homes_anew() {
    HOMES.begin_anew();
}

/// A shard of some runtime that has not ended, and has I/O.
pub(super) fn any_shard() -> Option<Arc<Shard>> {
    // Unlocked before they are looked at: the last reference to one may be dropped here.
    let shards: Vec<_> = HOMES
        .get()
        .read()
        .values()
        .filter_map(Weak::upgrade)
        .collect();
    let is_open = |shard: &Arc<Shard>| !shard.is_closed() && shard.is_io_enabled();
    shards.into_iter().find(is_open)
}

/// A shard of the runtime, if that has not ended.
pub(super) fn shard_of(runtime: u32) -> Option<Arc<Shard>> {
    let shard = HOMES.get().read().get(&runtime).and_then(Weak::upgrade)?;
    (!shard.is_closed()).then_some(shard)
}
