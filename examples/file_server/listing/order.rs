//! In which order a listing shows its entries: as the query of its address says, by links in the heads of its columns.

use std::cmp::Ordering;

use super::entries::{Entry, Kind};

/// Folders come first in every order, and equal entries by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) column: Column,
    pub(crate) descends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    Size,
    Date,
}

impl Order {
    pub(crate) const DEFAULT: Order = Order {
        column: Column::Name,
        descends: false,
    };

    /// Reads `sort=size&order=desc`. What is unknown, or comes again, does not count.
    pub(crate) fn of(query: Option<&[u8]>) -> Order {
        let (mut column, mut descends) = (None, None);
        let pairs = query.unwrap_or_default().split(|&byte| byte == b'&');
        for pair in pairs {
            match pair {
                b"sort=name" => column = column.or(Some(Column::Name)),
                b"sort=size" => column = column.or(Some(Column::Size)),
                b"sort=date" => column = column.or(Some(Column::Date)),
                b"order=asc" => descends = descends.or(Some(false)),
                b"order=desc" => descends = descends.or(Some(true)),
                _ => {}
            }
        }
        Order {
            column: column.unwrap_or(Column::Name),
            descends: descends.unwrap_or(false),
        }
    }

    /// The query that says this order, as it stands in an attribute.
    pub(super) fn query(self) -> &'static str {
        match (self.column, self.descends) {
            (Column::Name, false) => "?sort=name&amp;order=asc",
            (Column::Name, true) => "?sort=name&amp;order=desc",
            (Column::Size, false) => "?sort=size&amp;order=asc",
            (Column::Size, true) => "?sort=size&amp;order=desc",
            (Column::Date, false) => "?sort=date&amp;order=asc",
            (Column::Date, true) => "?sort=date&amp;order=desc",
        }
    }

    /// The same for a link to another folder: nothing for the order that it has anyway.
    pub(super) fn query_elsewhere(self) -> &'static str {
        match self {
            Order::DEFAULT => "",
            order => order.query(),
        }
    }

    /// The order that a click on the head of `column` asks for: names from A on, the largest and the newest first, and the
    /// other way round at the next click.
    pub(super) fn after_click(self, column: Column) -> Order {
        let descends = match self.column == column {
            true => !self.descends,
            false => column != Column::Name,
        };
        Order { column, descends }
    }

    pub(super) fn compare(self, one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
        let by_column = match self.column {
            Column::Name => by_name(one, other),
            Column::Size if one.kind == Kind::Directory => Ordering::Equal,
            Column::Size => one.size.cmp(&other.size),
            Column::Date => one.modified.cmp(&other.modified),
        };
        let directed = match self.descends {
            true => by_column.reverse(),
            false => by_column,
        };
        let is_file = |entry: &Entry<'_>| entry.kind != Kind::Directory;
        is_file(one)
            .cmp(&is_file(other))
            .then(directed)
            .then_with(|| by_name(one, other))
    }
}

/// Without regard to case, and then by the bytes: two entries of a directory are never equal.
fn by_name(one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
    lower(one.name)
        .cmp(lower(other.name))
        .then_with(|| one.name.cmp(other.name))
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_what_the_query_says_and_unknown_words_are_the_default() {
        let order = |column, descends| Order { column, descends };
        for (query, expected) in [
            ("", Order::DEFAULT),
            ("sort=size", order(Column::Size, false)),
            ("sort=date&order=desc", order(Column::Date, true)),
            ("order=desc", order(Column::Name, true)),
            ("order=desc&x&sort=size&y=z", order(Column::Size, true)),
            ("sort=size&sort=date", order(Column::Size, false)),
            ("sort=colour&order=up", Order::DEFAULT),
            ("sort=SIZE", Order::DEFAULT),
            ("&&=&sort&sort=", Order::DEFAULT),
        ] {
            assert_eq!(Order::of(Some(query.as_bytes())), expected, "{query}");
        }
        assert_eq!(Order::of(None), Order::DEFAULT);
        for column in [Column::Name, Column::Size, Column::Date] {
            for descends in [false, true] {
                let order = order(column, descends);
                let query = order.query().replace("&amp;", "&");
                assert_eq!(Order::of(Some(&query.as_bytes()[1..])), order);
            }
        }
    }

    #[test]
    fn a_second_click_turns_the_order_round_and_the_first_shows_what_one_looks_for() {
        let by_size = Order::DEFAULT.after_click(Column::Size);
        assert_eq!((by_size.column, by_size.descends), (Column::Size, true));
        assert!(!by_size.after_click(Column::Size).descends);
        assert!(by_size.after_click(Column::Date).descends);
        assert_eq!(by_size.after_click(Column::Name), Order::DEFAULT);
        assert!(Order::DEFAULT.after_click(Column::Name).descends);
    }

    /// Mutants: reverse folders and files too; leave equal sizes as they come.
    #[test]
    fn folders_come_first_in_every_order_and_equal_entries_by_name() {
        let entry = |name: &'static str, kind, size, modified| Entry {
            name: name.as_bytes(),
            kind,
            size,
            modified,
        };
        let entries = [
            entry("b", Kind::File, 7, 30),
            entry("A", Kind::File, 7, 10),
            entry("c", Kind::File, 9, 20),
            entry("Y", Kind::Directory, 2, 1),
            entry("x", Kind::Directory, 1, 2),
            entry("a", Kind::File, 1, 40),
        ];
        for (query, expected) in [
            ("", "xYAabc"),
            ("order=desc", "YxcbaA"),
            ("sort=size", "xYaAbc"),
            ("sort=size&order=desc", "xYcAba"),
            ("sort=date", "YxAcba"),
            ("sort=date&order=desc", "xYabcA"),
        ] {
            let order = Order::of(Some(query.as_bytes()));
            let mut sorted = entries;
            sorted.sort_by(|one, other| order.compare(one, other));
            let names: Vec<u8> = sorted
                .iter()
                .flat_map(|entry| entry.name)
                .copied()
                .collect();
            assert_eq!(String::from_utf8_lossy(&names), expected, "{query}");
        }
    }
}
