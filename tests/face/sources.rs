//! The modules of a crate, read from its sources: what they define, what they import, and which methods its types have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, ImplItem, Item, ItemImpl, Type, UseTree, Visibility};

use crate::cfg::Cfg;

/// A module, by its place in the list of all.
pub(crate) type ModuleId = usize;

/// All modules of a crate. The first is its root.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) modules: Vec<Module>,
}

/// A module and what is in it.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) parent: Option<ModuleId>,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) uses: Vec<Use>,
    /// The types that methods are written for here, as they are named here, and the public ones.
    pub(crate) methods: Vec<(Vec<String>, Vec<String>)>,
}

/// A name that a module defines.
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) is_public: bool,
    pub(crate) kind: Kind,
}

/// What a name is.
#[derive(Clone)]
pub(crate) enum Kind {
    Module(ModuleId),
    Type(Shape),
    Other,
}

/// What of a type can be named.
#[derive(Clone, Default)]
pub(crate) struct Shape {
    pub(crate) generics: usize,
    pub(crate) lifetimes: usize,
    pub(crate) fields: Vec<String>,
    pub(crate) variants: Vec<String>,
}

/// A name that a module imports; `*`: all names.
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) target: Vec<String>,
    pub(crate) is_public: bool,
}

/// Reads the crate whose root is `file`.
pub(crate) fn read(file: &Path, cfg: &mut Cfg) -> Sources {
    let folder = file.parent().expect("a folder").to_owned();
    cfg.learn(&parse(&folder.join("macros/cfg.rs")));
    let mut sources = Sources::default();
    sources.modules.push(Module::default());
    Reader {
        sources: &mut sources,
        cfg,
    }
    .items(0, parse(file).items, &folder, &folder);
    sources
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

struct Reader<'a> {
    sources: &'a mut Sources,
    cfg: &'a Cfg,
}

impl Reader<'_> {
    /// Enters items into a module. `folder` has the files of its modules, `beside` is where its own file is.
    fn items(&mut self, module: ModuleId, items: Vec<Item>, folder: &Path, beside: &Path) {
        for item in items {
            if self.cfg.allows(attributes(&item)) {
                self.item(module, item, folder, beside);
            }
        }
    }

    fn item(&mut self, module: ModuleId, item: Item, folder: &Path, beside: &Path) {
        let is_seen = !is_hidden(attributes(&item));
        match item {
            Item::Mod(item) => self.module(module, item, folder, beside),
            Item::Use(item) => {
                let is_public = is_public(&item.vis) && !is_hidden(&item.attrs);
                let uses = &mut self.sources.modules[module].uses;
                flatten(item.tree, &mut Vec::new(), is_public, uses);
            }
            Item::Impl(item) if item.trait_.is_none() => self.methods(module, item),
            Item::Macro(item) => self.macro_(module, item, folder, beside),
            Item::Struct(item) => {
                let mut shape = shape(&item.generics);
                let public = item.fields.iter().filter(|field| is_public(&field.vis));
                shape.fields = public
                    .filter_map(|field| Some(field.ident.as_ref()?.to_string()))
                    .collect();
                self.define(
                    module,
                    &item.ident,
                    is_seen && is_public(&item.vis),
                    Kind::Type(shape),
                );
            }
            Item::Enum(item) => {
                let mut shape = shape(&item.generics);
                shape.variants = item
                    .variants
                    .iter()
                    .map(|variant| variant.ident.to_string())
                    .collect();
                self.define(
                    module,
                    &item.ident,
                    is_seen && is_public(&item.vis),
                    Kind::Type(shape),
                );
            }
            item => {
                if let Some((name, visibility)) = plain(&item) {
                    self.define(module, name, is_seen && is_public(visibility), Kind::Other);
                }
            }
        }
    }

    fn module(&mut self, parent: ModuleId, item: syn::ItemMod, folder: &Path, beside: &Path) {
        let name = item.ident.to_string();
        if let Some((_, items)) = item.content {
            let id = self.new_module(parent, &item.ident, &item.vis, &item.attrs);
            return self.items(id, items, &folder.join(&name), beside);
        }
        let file = match path_attribute(&item.attrs) {
            Some(path) => beside.join(path),
            None => file_of(folder, &name),
        };
        let parsed = parse(&file);
        if !self.cfg.allows(&parsed.attrs) {
            return;
        }
        let id = self.new_module(parent, &item.ident, &item.vis, &item.attrs);
        let beside = file.parent().expect("a folder").to_owned();
        let folder = match file.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs") => beside.clone(),
            _ => file.with_extension(""),
        };
        self.items(id, parsed.items, &folder, &beside);
    }

    fn new_module(
        &mut self,
        parent: ModuleId,
        name: &syn::Ident,
        visibility: &Visibility,
        attributes: &[Attribute],
    ) -> ModuleId {
        let id = self.sources.modules.len();
        self.sources.modules.push(Module {
            parent: Some(parent),
            ..Module::default()
        });
        let is_seen = is_public(visibility) && !is_hidden(attributes);
        self.define(parent, name, is_seen, Kind::Module(id));
        id
    }

    /// A macro that is defined, or one that puts conditions before items.
    fn macro_(&mut self, module: ModuleId, item: syn::ItemMacro, folder: &Path, beside: &Path) {
        if let Some(name) = &item.ident {
            if item
                .attrs
                .iter()
                .any(|attribute| attribute.path().is_ident("macro_export"))
            {
                self.define(0, name, !is_hidden(&item.attrs), Kind::Other);
            }
            return;
        }
        // Documentation before a macro that is exported.
        if item.mac.path.is_ident("doc") {
            let inner: syn::ItemMacro = syn::parse2(item.mac.tokens).expect("a macro");
            return self.define(0, &inner.ident.expect("a name"), true, Kind::Other);
        }
        if let Some(tokens) = self.cfg.open(&item.mac) {
            let name = item.mac.path.to_token_stream();
            let file: syn::File =
                syn::parse2(tokens).unwrap_or_else(|error| panic!("in `{name}!`: {error}"));
            self.items(module, file.items, folder, beside);
        }
    }

    fn methods(&mut self, module: ModuleId, item: ItemImpl) {
        let Type::Path(of) = &*item.self_ty else {
            return;
        };
        let of = of
            .path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let mut names = Vec::new();
        self.add_methods(item.items, &mut names);
        self.sources.modules[module].methods.push((of, names));
    }

    fn add_methods(&self, items: Vec<ImplItem>, names: &mut Vec<String>) {
        for item in items {
            match item {
                ImplItem::Fn(item)
                    if is_public(&item.vis)
                        && self.cfg.allows(&item.attrs)
                        && !is_hidden(&item.attrs) =>
                {
                    names.push(item.sig.ident.to_string());
                }
                ImplItem::Const(item) if is_public(&item.vis) && self.cfg.allows(&item.attrs) => {
                    names.push(item.ident.to_string());
                }
                ImplItem::Macro(item) if self.cfg.allows(&item.attrs) => {
                    if let Some(tokens) = self.cfg.open(&item.mac) {
                        let inner: ItemImpl = syn::parse_quote!(impl Of { #tokens });
                        self.add_methods(inner.items, names);
                    }
                }
                _ => {}
            }
        }
    }

    fn define(&mut self, module: ModuleId, name: &syn::Ident, is_public: bool, kind: Kind) {
        self.sources.modules[module].definitions.push(Definition {
            name: name.to_string(),
            is_public,
            kind,
        });
    }
}

/// What has nothing in it that could be named.
fn plain(item: &Item) -> Option<(&syn::Ident, &Visibility)> {
    match item {
        Item::Const(item) => Some((&item.ident, &item.vis)),
        Item::Fn(item) => Some((&item.sig.ident, &item.vis)),
        Item::Static(item) => Some((&item.ident, &item.vis)),
        Item::Trait(item) => Some((&item.ident, &item.vis)),
        Item::Type(item) => Some((&item.ident, &item.vis)),
        _ => None,
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.rs"));
    if file.exists() {
        return file;
    }
    folder.join(name).join("mod.rs")
}

fn shape(generics: &syn::Generics) -> Shape {
    Shape {
        generics: generics.type_params().count() + generics.const_params().count(),
        lifetimes: generics.lifetimes().count(),
        ..Shape::default()
    }
}

/// Only `pub` itself: what is `pub(crate)` is nobody else's.
fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether it is not meant for users. What is hidden because it has another name now is.
fn is_hidden(attributes: &[Attribute]) -> bool {
    let is_deprecated = attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"));
    let is_hidden = attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "hidden")
    });
    is_hidden && !is_deprecated
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(value) = &pair.value else {
            return None;
        };
        match &value.lit {
            syn::Lit::Str(path) if pair.path.is_ident("path") => Some(path.value()),
            _ => None,
        }
    })
}

/// Takes `a::{b, c as d, e::*}` apart.
fn flatten(tree: UseTree, path: &mut Vec<String>, is_public: bool, uses: &mut Vec<Use>) {
    let mut add = |name: String, target: Vec<String>| {
        uses.push(Use {
            name,
            target,
            is_public,
        });
    };
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            flatten(*step.tree, path, is_public, uses);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            add(path.last().cloned().unwrap_or_default(), path.clone());
        }
        UseTree::Name(name) => {
            let mut target = path.clone();
            target.push(name.ident.to_string());
            add(name.ident.to_string(), target);
        }
        UseTree::Rename(rename) => {
            let mut target = path.clone();
            target.push(rename.ident.to_string());
            add(rename.rename.to_string(), target);
        }
        UseTree::Glob(_) => add("*".to_owned(), path.clone()),
        UseTree::Group(group) => {
            for tree in group.items {
                flatten(tree, path, is_public, uses);
            }
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// All names of a crate that can be reached from outside, with their methods.
#[derive(Default)]
pub(crate) struct Face {
    /// `net::TcpStream`, and what it is.
    pub(crate) names: BTreeMap<String, Kind>,
    /// `net::TcpStream`, and `connect`.
    pub(crate) methods: BTreeMap<String, Vec<String>>,
}
