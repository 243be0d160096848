//! Which parts of tokio's sources are there on Linux, with a set of features and no flag of the compiler.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, Meta, Token};

/// What tokio's `#[cfg]`s are answered by.
pub(crate) struct Cfg {
    features: BTreeSet<String>,
    /// Macros that put `#[cfg]`s before the items in them, and these.
    macros: BTreeMap<String, Vec<Meta>>,
}

impl Cfg {
    pub(crate) fn new(features: BTreeSet<String>) -> Self {
        Self {
            features,
            macros: BTreeMap::new(),
        }
    }

    /// Learns the macros of a file that consist of `#[cfg]`s.
    pub(crate) fn learn(&mut self, file: &syn::File) {
        for item in &file.items {
            let syn::Item::Macro(item) = item else {
                continue;
            };
            if let Some(name) = &item.ident {
                let mut conditions = Vec::new();
                find_conditions(item.mac.tokens.clone(), &mut conditions);
                self.macros.insert(name.to_string(), conditions);
            }
        }
    }

    /// What stands in a call of such a macro, if it is there; none if the macro is another.
    pub(crate) fn open(&self, call: &syn::Macro) -> Option<TokenStream> {
        let name = call.path.segments.last()?.ident.to_string();
        // Structures with pinned fields.
        if name == "pin_project" {
            return Some(call.tokens.clone());
        }
        if name == "feature" {
            return Some(self.open_feature(call.tokens.clone()));
        }
        let conditions = self.macros.get(&name)?;
        // One that has none decides in another way.
        let is_there = !conditions.is_empty() && conditions.iter().all(|meta| self.holds(meta));
        Some(if is_there {
            call.tokens.clone()
        } else {
            TokenStream::new()
        })
    }

    /// `feature! { #![condition] items }`.
    fn open_feature(&self, tokens: TokenStream) -> TokenStream {
        let mut tokens = tokens.into_iter().skip(2);
        let Some(TokenTree::Group(condition)) = tokens.next() else {
            panic!("`feature!` begins with its condition");
        };
        let condition: Meta = syn::parse2(condition.stream()).expect("a condition");
        if self.holds(&condition) {
            tokens.collect()
        } else {
            TokenStream::new()
        }
    }

    /// Whether what has these attributes is there.
    pub(crate) fn allows(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().all(|attribute| {
            !attribute.path().is_ident("cfg")
                || self.holds(&attribute.parse_args().expect("a condition"))
        })
    }

    fn holds(&self, meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("unix"),
            Meta::NameValue(pair) => self.is(pair),
            Meta::List(list) => {
                let parts = list
                    .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                    .expect("conditions");
                let mut parts = parts.iter().map(|part| self.holds(part));
                match list.path.get_ident().map(ToString::to_string).as_deref() {
                    Some("all") => parts.all(|part| part),
                    Some("any") => parts.any(|part| part),
                    Some("not") => !parts.all(|part| part),
                    _ => panic!("a condition of another kind"),
                }
            }
        }
    }

    fn is(&self, pair: &syn::MetaNameValue) -> bool {
        let Expr::Lit(value) = &pair.value else {
            return false;
        };
        let Lit::Str(value) = &value.lit else {
            return false;
        };
        let (key, value) = (
            pair.path.get_ident().map(ToString::to_string),
            value.value(),
        );
        match key.as_deref() {
            Some("feature") => self.features.contains(&value),
            Some("target_os") => value == "linux",
            Some("target_family") => value == "unix",
            Some("target_pointer_width" | "target_has_atomic") => value == "64",
            Some("panic") => value == "unwind",
            _ => false,
        }
    }
}

/// The conditions in all `#[cfg(…)]` of a macro's definition.
fn find_conditions(tokens: TokenStream, found: &mut Vec<Meta>) {
    let mut is_attribute = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_attribute && group.delimiter() == Delimiter::Bracket => {
                let Ok(Meta::List(list)) = syn::parse2::<Meta>(group.stream()) else {
                    continue;
                };
                // `$meta` is none.
                if list.path.is_ident("cfg")
                    && let Ok(condition) = list.parse_args()
                {
                    found.push(condition);
                }
                is_attribute = false;
            }
            TokenTree::Group(group) => find_conditions(group.stream(), found),
            TokenTree::Punct(punct) => is_attribute = punct.as_char() == '#',
            _ => is_attribute = false,
        }
    }
}
