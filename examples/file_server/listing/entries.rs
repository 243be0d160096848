//! The entries of a directory in memory: a record each, and all names one behind the other.

use super::order::Order;

/// What a listing shows of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'n> {
    pub(crate) name: &'n [u8],
    pub(crate) kind: Kind,
    /// In bytes; of no meaning for a directory.
    pub(crate) size: u64,
    /// In seconds since 1970.
    pub(crate) modified: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    names: Vec<u8>,
    records: Vec<Record>,
}

/// An entry whose name is `length` bytes from `start` on.
#[derive(Debug)]
struct Record {
    start: u32,
    length: u16,
    kind: Kind,
    size: u64,
    modified: i64,
}

impl Entries {
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let start = u32::try_from(self.names.len()).expect("names are bounded far below 4 GiB");
        self.names.extend_from_slice(entry.name);
        self.records.push(Record {
            start,
            length: u16::try_from(entry.name.len()).expect("no file system has such a name"),
            kind: entry.kind,
            size: entry.size,
            modified: entry.modified,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn name_bytes(&self) -> usize {
        self.names.len()
    }

    pub(super) fn get(&self, index: usize) -> Entry<'_> {
        self.records[index].entry(&self.names)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().map(|record| record.entry(&self.names))
    }

    /// Bytes of memory that all this takes.
    pub(super) fn bytes(&self) -> usize {
        self.names.capacity() + self.records.capacity() * size_of::<Record>()
    }

    pub(super) fn sort(&mut self, order: Order) {
        let names = &self.names;
        self.records
            .sort_unstable_by(|one, other| order.compare(&one.entry(names), &other.entry(names)));
    }
}

impl Record {
    fn entry<'n>(&self, names: &'n [u8]) -> Entry<'n> {
        let start = self.start as usize;
        Entry {
            name: &names[start..start + usize::from(self.length)],
            kind: self.kind,
            size: self.size,
            modified: self.modified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand entries with names of 20 bytes are to take less than 10 MiB.
    #[test]
    fn entries_take_little_more_than_their_names() {
        let mut entries = Entries::default();
        for number in 0..100_000 {
            let name = format!("a file, number {number:05}");
            entries.push(Entry {
                name: name.as_bytes(),
                kind: Kind::File,
                size: number,
                modified: 0,
            });
        }
        assert!(entries.bytes() < 10 << 20, "{}", entries.bytes());
        entries.sort(Order::of(Some(b"order=desc")));
        assert_eq!(entries.get(0).name, b"a file, number 99999");
        assert_eq!(
            entries.iter().map(|entry| entry.size).sum::<u64>(),
            4_999_950_000
        );
        assert_eq!(entries.len(), 100_000);
    }
}
