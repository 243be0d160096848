//! The page that shows a directory.
//!
//! It shows what can be fetched: files, directories, and symlinks to those that may be followed.
//!
//! 1. A small directory is a page in one piece, which has a length and a tag. The tag is made of the page itself: the
//!    directory's own times tell nothing of the sizes and dates of the files in it.
//! 2. A larger one leaves in pieces, the first before the entries are known, so it has neither. What is made is one piece,
//!    when the one before has left: a client that is slow holds a piece and no thread, and one that goes away holds nothing.
//! 3. To put entries in order is to have them all in memory. One listing may have [`LISTING_SORTED_BYTES_MAX`] for that,
//!    and all together [`LISTINGS_SORTED_BYTES_MAX`]; beyond either, the entries come as the disk has them, and the page
//!    says so.
//!
//! What reads the disk runs on the blocking pool, in turns of [`LISTING_TURN_ENTRIES`], of which [`LISTING_THREADS_MAX`] are taken at a
//! time.

mod entries;
#[cfg(test)]
mod failure;
mod markup;
mod order;
mod reader;
mod text;

use std::io;
use std::sync::Arc;

use ringway::fs::{Dir, File};
use ringway::sync::{OwnedSemaphorePermit, Semaphore};
use ringway::task::spawn_blocking;
use rustix::fs::ResolveFlags;

use self::entries::Entries;
pub(crate) use self::markup::View;
pub(crate) use self::order::Order;
use self::reader::{Next, OpenNames, Reader, open_names};
use crate::limits::{
    LISTING_PAGE_ENTRIES, LISTING_PAGE_NAME_BYTES, LISTING_PIECE_BYTES, LISTING_SORTED_BYTES_MAX,
    LISTING_THREADS_MAX, LISTING_TURN_ENTRIES, LISTINGS_SORTED_BYTES_MAX,
};

/// Makes listings, and knows how much memory all together have for their order.
#[derive(Debug)]
pub(crate) struct Lister {
    /// A permit for each [`BLOCK_BYTES`].
    room: Arc<Semaphore>,
    /// Who has a permit takes a turn.
    turns: Arc<Semaphore>,
    /// Where entries come from: the disk.
    names: OpenNames,
}

/// What memory for an order is reckoned in.
const BLOCK_BYTES: usize = 256 * 1024;

/// What became of a directory.
#[derive(Debug)]
pub(crate) enum Listed {
    Whole(String),
    Pieces(Box<Listing>),
}

/// A page that leaves in pieces.
#[derive(Debug)]
pub(crate) struct Listing {
    /// `None` while a thread of the pool works on it, and when all was said.
    work: Option<Work>,
    turns: Arc<Semaphore>,
}

/// What a turn has made of a page that may become one in one piece.
enum FirstPage {
    Whole(String),
    /// It is too large for that.
    TooLarge(Work),
    /// There is more to look at.
    Unfinished(Work),
}

#[derive(Debug)]
struct Work {
    reader: Reader,
    view: View,
    entries: Entries,
    room: Arc<Semaphore>,
    leave: Option<OwnedSemaphorePermit>,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Gather,
    /// The row of this entry, or the end of the page.
    Sorted(usize),
    /// The same, of entries that were gathered before there were too many.
    Unsorted(usize),
    /// The rest of the directory, directly.
    Through,
}

impl Lister {
    pub(crate) fn new() -> Lister {
        Lister {
            room: Arc::new(Semaphore::new(LISTINGS_SORTED_BYTES_MAX / BLOCK_BYTES)),
            turns: Arc::new(Semaphore::new(LISTING_THREADS_MAX)),
            names: open_names,
        }
    }

    /// Lists `directory`, which is at the path of `view` beneath `root`, where symlinks are followed as `resolve` says.
    /// Errors are those of reading it.
    pub(crate) async fn list(
        &self,
        root: Dir,
        resolve: ResolveFlags,
        view: View,
        directory: File,
    ) -> io::Result<Listed> {
        let (room, names) = (Arc::clone(&self.room), self.names);
        let first_turn = move || {
            let path = view.directory.clone();
            let work = Work {
                reader: Reader::open(root, resolve, path, directory, names)?,
                view,
                entries: Entries::default(),
                room,
                leave: None,
                stage: Stage::Begin,
            };
            work.gather_page()
        };
        let mut page = take_turn(&self.turns, first_turn).await?;
        loop {
            let turns = Arc::clone(&self.turns);
            page = match page {
                FirstPage::Whole(page) => return Ok(Listed::Whole(page)),
                FirstPage::TooLarge(work) => {
                    let work = Some(work);
                    return Ok(Listed::Pieces(Box::new(Listing { work, turns })));
                }
                FirstPage::Unfinished(work) => take_turn(&turns, || work.gather_page()).await?,
            };
        }
    }
}

/// Has a thread of the pool take a turn, as soon as few others do. Who has gone meanwhile takes none.
async fn take_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    turn: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = Arc::clone(turns).acquire_owned().await;
    let permit = permit.expect("the semaphore of turns is never closed");
    let turn = move || {
        // It goes with the thread's work, whether or not somebody still waits for that.
        let _permit = permit;
        turn()
    };
    spawn_blocking(turn).await.map_err(io::Error::other)?
}

impl Listing {
    /// The next piece, which is not empty; `None` after the last one, or after an error.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        while let Some(mut work) = self.work.take() {
            let turn = move || {
                let mut piece =
                    String::with_capacity(LISTING_PIECE_BYTES + LISTING_PIECE_BYTES / 8);
                let goes_on = work.take_turn(&mut piece)?;
                io::Result::Ok((goes_on.then_some(work), piece))
            };
            let (work, piece) = take_turn(&self.turns, turn).await?;
            self.work = work;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Work {
    /// Gathers what a page in one piece has at the most, as far as one turn goes.
    fn gather_page(mut self) -> io::Result<FirstPage> {
        for _ in 0..LISTING_TURN_ENTRIES {
            if self.entries.len() >= LISTING_PAGE_ENTRIES
                || self.entries.name_bytes() >= LISTING_PAGE_NAME_BYTES
            {
                return Ok(FirstPage::TooLarge(self));
            }
            match self.reader.next()? {
                Next::Shown(found) => self.entries.push(found.entry()),
                Next::Hidden => {}
                Next::End => return Ok(FirstPage::Whole(self.whole())),
            }
        }
        Ok(FirstPage::Unfinished(self))
    }

    /// The page of a directory that was gathered.
    fn whole(&mut self) -> String {
        let mut page = String::new();
        self.view.begin(&mut page);
        self.entries.sort(self.view.order);
        self.view.begin_sorted(&mut page, &self.entries);
        for entry in self.entries.iter() {
            self.view.row(&mut page, &entry);
        }
        View::end(&mut page);
        page
    }

    /// Does a part of the work that is short enough for a thread of the pool, and adds to `piece` what comes of it; false
    /// if it was the last part.
    fn take_turn(&mut self, piece: &mut String) -> io::Result<bool> {
        match self.stage {
            Stage::Begin => {
                self.view.begin(piece);
                self.stage = Stage::Gather;
            }
            Stage::Gather => self.gather(piece)?,
            Stage::Sorted(next) => {
                let next = self.add_rows(next, piece);
                self.stage = Stage::Sorted(next);
                if next == self.entries.len() {
                    View::end(piece);
                    return Ok(false);
                }
            }
            Stage::Unsorted(next) => {
                let next = self.add_rows(next, piece);
                self.stage = Stage::Unsorted(next);
                if next == self.entries.len() {
                    (self.entries, self.leave) = (Entries::default(), None);
                    self.stage = Stage::Through;
                }
            }
            Stage::Through => return self.go_through(piece),
        }
        Ok(true)
    }

    /// Gathers some more, until there is no more or no room for more.
    fn gather(&mut self, piece: &mut String) -> io::Result<()> {
        for _ in 0..LISTING_TURN_ENTRIES {
            if !self.has_leave() {
                self.view.begin_unsorted(piece);
                self.stage = Stage::Unsorted(0);
                return Ok(());
            }
            match self.reader.next()? {
                Next::Shown(found) => self.entries.push(found.entry()),
                Next::Hidden => {}
                Next::End => {
                    self.entries.sort(self.view.order);
                    self.view.begin_sorted(piece, &self.entries);
                    self.stage = Stage::Sorted(0);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the entries may take the memory that they take.
    fn has_leave(&mut self) -> bool {
        let bytes = self.entries.bytes();
        let held = self.leave.as_ref().map_or(0, |leave| leave.num_permits());
        let missing = bytes.div_ceil(BLOCK_BYTES).saturating_sub(held);
        if missing == 0 || bytes > LISTING_SORTED_BYTES_MAX {
            return missing == 0;
        }
        let count = u32::try_from(missing).expect("blocks of one listing are few");
        let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(count) else {
            return false;
        };
        match &mut self.leave {
            Some(leave) => leave.merge(more),
            leave => *leave = Some(more),
        }
        true
    }

    /// Adds the rows from `next` on that have room in a piece; returns what comes after them.
    fn add_rows(&self, mut next: usize, piece: &mut String) -> usize {
        while next < self.entries.len() && piece.len() < LISTING_PIECE_BYTES {
            self.view.row(piece, &self.entries.get(next));
            next += 1;
        }
        next
    }

    /// Adds rows as the disk has them, of which there may be none in a turn; false at the end.
    fn go_through(&mut self, piece: &mut String) -> io::Result<bool> {
        for _ in 0..LISTING_TURN_ENTRIES {
            if piece.len() >= LISTING_PIECE_BYTES {
                break;
            }
            match self.reader.next()? {
                Next::Shown(found) => self.view.row(piece, &found.entry()),
                Next::Hidden => {}
                Next::End => {
                    View::end(piece);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::page;
    use crate::path::SitePath;
    use crate::policy::Symlinks;

    fn folder(entries: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        for number in 0..entries {
            std::fs::write(folder.path().join(format!("{number:05}")), "").expect("file");
        }
        folder
    }

    fn work(folder: &tempfile::TempDir, room: usize) -> Work {
        Work {
            reader: reader::tests::reader(folder.path(), "/", Symlinks::Within),
            view: View {
                directory: SitePath::parse(b"/").expect("valid"),
                order: Order::DEFAULT,
            },
            entries: Entries::default(),
            room: Arc::new(Semaphore::new(room)),
            leave: None,
            stage: Stage::Begin,
        }
    }

    /// All pieces, and the permits that were out at the most.
    fn pieces(mut work: Work) -> (Vec<String>, usize) {
        let (room, mut pieces, mut held) = (Arc::clone(&work.room), Vec::new(), 0);
        let all = room.available_permits();
        loop {
            let mut piece = String::new();
            let goes_on = work.take_turn(&mut piece).expect("reads");
            held = held.max(all - room.available_permits());
            pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
            if !goes_on {
                drop(work);
                assert_eq!(room.available_permits(), all, "all is given back");
                return (pieces, held);
            }
        }
    }

    fn names(page: &str) -> Vec<&str> {
        let names = page.split("<bdi>").skip(1);
        names.filter_map(|rest| rest.split('<').next()).collect()
    }

    /// Mutants: `<=` in `gather_page`; keep what was gathered in the order of the disk.
    #[test]
    fn a_page_in_one_piece_has_so_many_entries_and_no_more() {
        let small = folder(LISTING_PAGE_ENTRIES - 1);
        let FirstPage::Whole(page) = work(&small, 1).gather_page().expect("reads") else {
            panic!("it is small");
        };
        let names = names(&page);
        assert_eq!(names.len(), LISTING_PAGE_ENTRIES - 1);
        assert!(names.is_sorted() && page.ends_with(page::END));
        let large = folder(LISTING_PAGE_ENTRIES);
        let page = work(&large, 1).gather_page().expect("reads");
        assert!(matches!(page, FirstPage::TooLarge(_)));
    }

    /// What is shown comes first.
    fn shown_first(directory: &File) -> io::Result<reader::Names> {
        let mut all: Vec<_> = reader::open_names(directory)?.collect();
        all.sort_by_key(|entry| {
            let name = entry.as_ref().map(|entry| entry.file_name().to_bytes());
            name.is_ok_and(|name| name.starts_with(b"\\"))
        });
        Ok(Box::new(all.into_iter()))
    }

    /// Or a directory full of links that lead out would keep a thread for seconds, and all other listings waiting.
    ///
    /// Mutants: entries that are not shown do not count in a turn, in each of the three places.
    #[test]
    fn a_turn_ends_among_entries_that_are_not_shown() {
        const TURNS: usize = 2;
        let folder = folder(1);
        for number in 0..LISTING_TURN_ENTRIES * TURNS {
            std::fs::write(folder.path().join(format!("\\{number}")), "").expect("file");
        }
        let begin = |room| Work {
            reader: reader::tests::reader_of(folder.path(), "/", Symlinks::Within, shown_first),
            ..work(&folder, room)
        };
        let (mut turns, mut page) = (1, begin(8).gather_page().expect("reads"));
        let page = loop {
            match page {
                FirstPage::Whole(page) => break page,
                FirstPage::TooLarge(_) => panic!("it has one entry"),
                FirstPage::Unfinished(work) => page = work.gather_page().expect("reads"),
            }
            turns += 1;
        };
        assert_eq!((names(&page), turns), (vec!["00000"], TURNS + 1));
        for (room, beside) in [(8, 2), (0, 3)] {
            let (mut work, mut page, mut turns) = (begin(room), String::new(), 1);
            while work.take_turn(&mut page).expect("reads") {
                turns += 1;
            }
            assert_eq!((names(&page), turns), (vec!["00000"], TURNS + 1 + beside));
            assert!(page.ends_with(page::END));
        }
    }

    #[test]
    fn the_first_piece_leaves_before_the_entries_are_known_and_all_pieces_are_short() {
        let folder = folder(3_000);
        let (pieces, held) = pieces(work(&folder, 8));
        assert!(held == 1 || held == 2, "{held}");
        assert!(pieces[0].contains("<h1>") && !pieces[0].contains("<table>"));
        assert!(pieces.len() > 3);
        for piece in &pieces {
            assert!(piece.len() < LISTING_PIECE_BYTES + 1024, "{}", piece.len());
        }
        let page = pieces.concat();
        assert!(names(&page).is_sorted() && names(&page).len() == 3_000);
        assert!(page.contains("3,000 files") && page.contains("aria-sort=\"ascending\""));
        assert!(page.ends_with(page::END));
    }

    /// Mutants: begin at the entry where the room ended; say that it is sorted all the same.
    #[test]
    fn without_room_for_an_order_all_entries_come_as_the_disk_has_them_and_the_page_says_so() {
        let folder = folder(20_000);
        for room in [0, 1] {
            let (pieces, held) = pieces(work(&folder, room));
            assert_eq!(held, room);
            let page = pieces.concat();
            assert!(page.contains("as the disk has them") && !page.contains("aria-sort=\""));
            let mut names = names(&page);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), 20_000);
            assert!(page.ends_with(page::END));
        }
    }

    static READING: AtomicUsize = AtomicUsize::new(0);
    static READING_MOST: AtomicUsize = AtomicUsize::new(0);

    /// Counts who reads at the same time, at the first entry and at some later ones.
    fn counting(directory: &File) -> io::Result<reader::Names> {
        let names = reader::open_names(directory)?.enumerate();
        Ok(Box::new(names.map(|(index, entry)| {
            if index.is_multiple_of(LISTING_PAGE_ENTRIES * 2) {
                let reading = READING.fetch_add(1, Ordering::Relaxed) + 1;
                READING_MOST.fetch_max(reading, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
                READING.fetch_sub(1, Ordering::Relaxed);
            }
            entry
        })))
    }

    /// Mutants: a thread for the first turn of each listing; one for each later turn; one thread for all.
    #[test]
    fn so_many_threads_read_at_a_time_and_no_more() {
        let folder = folder(LISTING_PAGE_ENTRIES * 3);
        let runtime = ringway::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build();
        runtime.expect("a runtime").block_on(async {
            let root = Dir::open(folder.path()).await.expect("opens");
            let lister = Lister {
                names: counting,
                ..Lister::new()
            };
            let view = View {
                directory: SitePath::parse(b"/").expect("valid"),
                order: Order::DEFAULT,
            };
            let list = async || {
                let directory = File::open(folder.path()).await.expect("opens");
                let resolve = Symlinks::Within.resolve_flags();
                let listed = lister.list(root.clone(), resolve, view.clone(), directory);
                let Listed::Pieces(mut listing) = listed.await.expect("reads") else {
                    panic!("it is large");
                };
                while listing.next().await.expect("reads").is_some() {}
            };
            futures_util::future::join_all((0..16).map(|_| list())).await;
        });
        assert_eq!(READING_MOST.load(Ordering::Relaxed), LISTING_THREADS_MAX);
    }

    /// Mutant: heed only what all listings together have.
    #[test]
    fn one_listing_has_no_more_room_than_its_own() {
        let folder = folder(1);
        let mut work = work(&folder, LISTINGS_SORTED_BYTES_MAX / BLOCK_BYTES);
        assert!(
            work.has_leave() && work.leave.is_none(),
            "nothing for nothing"
        );
        let mut number = 0;
        while work.has_leave() {
            number += 1;
            let name = format!("{number:0200}");
            work.entries.push(entries::Entry {
                name: name.as_bytes(),
                kind: entries::Kind::File,
                size: 0,
                modified: 0,
            });
        }
        let held = work.leave.as_ref().map_or(0, |leave| leave.num_permits()) * BLOCK_BYTES;
        assert!(held <= LISTING_SORTED_BYTES_MAX && held > LISTING_SORTED_BYTES_MAX / 4);
        assert!(work.room.available_permits() > 0);
    }
}
