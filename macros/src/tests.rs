//! What the attributes make of what they are given, token by token.
//!
//! That the result also compiles and does what it says is the matter of `tests/attributes.rs`.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;

use crate::expand::{Attribute, Kind, no_runtime};

fn main() -> Attribute {
    Attribute {
        kind: Kind::Main,
        multi_thread: true,
        facade: "ringway".to_owned(),
    }
}

fn test() -> Attribute {
    Attribute {
        kind: Kind::Test,
        ..main()
    }
}

/// `#[main]` in a crate whose manifest says `tokio = { package = "ringway" }`.
fn renamed() -> Attribute {
    Attribute {
        facade: "tokio".to_owned(),
        ..main()
    }
}

/// The part of the expansion from the builder to `build`.
fn builder(attribute: &Attribute, args: TokenStream) -> String {
    let expanded = attribute
        .expand(args, quote! { async fn f() {} })
        .to_string();
    assert!(!expanded.contains("compile_error"), "{expanded}");
    let (before, _) = expanded.split_once(". expect (").unwrap();
    let (_, chain) = before.rsplit_once("return ").unwrap();
    chain.replace(' ', "")
}

/// The message of the error in the expansion, and the code that it points to.
fn error(attribute: &Attribute, args: &str, item: &str) -> (String, String) {
    let args: TokenStream = args.parse().unwrap();
    let expanded = attribute.expand(args, item.parse().unwrap());
    let tokens: Vec<TokenTree> = expanded.into_iter().collect();
    let (message, span) = message_of(&tokens);
    (message, span.source_text().unwrap_or_default())
}

/// Reads `::core::compile_error! { "message" }` at the end of `tokens`. Its first tokens have the
/// place where the faulty code begins, the last has the place where it ends.
fn message_of(tokens: &[TokenTree]) -> (String, Span) {
    let (head, last) = tokens.split_at(tokens.len() - 1);
    let name = &head[head.len() - [':', ':', 'c', ':', ':', 'e', '!'].len()..];
    let TokenTree::Group(braces) = &last[0] else {
        panic!("no error at the end")
    };
    assert!(
        name.iter().any(|it| it.to_string() == "compile_error"),
        "not an error: {braces}"
    );
    let message: syn::LitStr = syn::parse2(braces.stream()).unwrap();
    (
        message.value(),
        name[0].span().join(message.span()).unwrap(),
    )
}

/// The error in the arguments of an attribute of a function that is otherwise all right.
fn argument_error(attribute: &Attribute, args: &str) -> (String, String) {
    error(attribute, args, "async fn f() {}")
}

#[track_caller]
fn assert_error(attribute: &Attribute, args: &str, message: &str, place: &str) {
    let (found, span) = argument_error(attribute, args);
    assert_eq!(found, message);
    assert_eq!(span, place);
}

#[test]
fn main_becomes_a_function_that_blocks_on_its_body() {
    let item = quote! {
        #[inline]
        pub async fn main() -> io::Result<()> { run().await?; Ok(()) }
    };
    let expanded = main().expand(TokenStream::new(), item);
    let wanted = quote! {
        #[inline]
        pub fn main() -> io::Result<()> {
            let body = async {
                if let ::core::option::Option::Some(output) =
                    ::core::option::Option::<io::Result<()> >::None
                {
                    return output;
                }
                run().await?; Ok(())
            };
            #[allow(clippy::diverging_sub_expression)]
            {
                return ::ringway::runtime::Builder::new_multi_thread().enable_all().build()
                    .expect("Failed building the Runtime").block_on(body);
            }
        }
    };
    assert_eq!(expanded.to_string(), wanted.to_string());
}

#[test]
fn test_is_marked_as_one_after_the_other_attributes_and_erases_its_future() {
    let expanded = test().expand(
        TokenStream::new(),
        quote! { #[should_panic] async fn f() {} },
    );
    let expanded = expanded.to_string();
    let head = quote! { #[should_panic] #[::core::prelude::v1::test] fn f() };
    assert!(expanded.starts_with(&head.to_string()), "{expanded}");
    let erased = quote! {
        let body: ::core::pin::Pin<&mut dyn ::core::future::Future<Output = _>> =
            ::core::pin::pin!(body);
    };
    assert!(expanded.contains(&erased.to_string()), "{expanded}");
}

#[test]
fn the_default_flavor_is_multi_thread_for_main_and_current_thread_for_test() {
    for (attribute, flavor) in [(main(), "multi_thread"), (test(), "current_thread")] {
        let wanted = format!("::ringway::runtime::Builder::new_{flavor}().enable_all().build()");
        assert_eq!(builder(&attribute, TokenStream::new()), wanted);
    }
}

#[test]
fn each_argument_reaches_the_builder() {
    let chain = |args| {
        let chain = builder(&main(), args);
        chain
            .strip_prefix("::ringway::runtime::Builder::")
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        chain(quote! { flavor = "multi_thread", worker_threads = 3 }),
        "new_multi_thread().worker_threads(3usize).enable_all().build()"
    );
    assert_eq!(
        chain(quote! { start_paused = true, flavor = "current_thread", }),
        "new_current_thread().start_paused(true).enable_all().build()"
    );
    assert_eq!(
        chain(quote! { flavor = "multi_thread", start_paused = true }),
        "new_multi_thread().start_paused(true).enable_all().build()"
    );
}

#[test]
fn the_crate_is_found_under_the_name_of_the_dependency_or_the_given_path() {
    assert!(builder(&renamed(), TokenStream::new()).starts_with("::tokio::runtime::Builder::"));
    let given = builder(&renamed(), quote! { crate = "crate::web::ring" });
    assert!(
        given.starts_with("crate::web::ring::runtime::Builder::"),
        "{given}"
    );
}

#[test]
fn attributes_inside_the_body_move_to_the_function() {
    let item = "async fn f() { #![allow(dead_code)] g() }".parse().unwrap();
    let expanded = main().expand(TokenStream::new(), item).to_string();
    assert!(
        expanded.starts_with(&quote! { #[allow(dead_code)] fn f() }.to_string()),
        "{expanded}"
    );
}

#[test]
fn results_that_no_variable_can_have_are_left_to_inference() {
    for output in ["!", "impl Send", "Result<Box<impl Send>, ()>"] {
        let item = format!("async fn f() -> {output} {{ g() }}")
            .parse()
            .unwrap();
        let expanded = main().expand(TokenStream::new(), item).to_string();
        assert!(!expanded.contains("output"), "{expanded}");
    }
}

#[test]
fn the_body_keeps_its_place_in_the_source() {
    let source = "async fn f() -> u8 { wrong(1) }";
    let expanded = main().expand(TokenStream::new(), source.parse().unwrap());
    let Some(TokenTree::Group(function)) = expanded.into_iter().last() else {
        panic!()
    };
    assert_eq!(function.span().source_text().unwrap(), "{ wrong(1) }");
    let block = group_after(function.stream(), "async");
    assert_eq!(block.span().source_text().unwrap(), "{ wrong(1) }");
    let call = block
        .stream()
        .into_iter()
        .find(|it| it.to_string() == "wrong")
        .unwrap();
    assert_eq!(call.span().source_text().unwrap(), "wrong");
}

fn group_after(tokens: TokenStream, word: &str) -> Group {
    let mut tokens = tokens
        .into_iter()
        .skip_while(|it| it.to_string() != word)
        .skip(1);
    let Some(TokenTree::Group(group)) = tokens.next() else {
        panic!("no group after {word}")
    };
    group
}

#[test]
fn unknown_flavors_are_refused_with_the_known_ones() {
    for (flavor, message) in [
        (
            "single_thread",
            "The single threaded runtime flavor is called `current_thread`.",
        ),
        (
            "basic_scheduler",
            "The `basic_scheduler` runtime flavor has been renamed to `current_thread`.",
        ),
        (
            "threaded_scheduler",
            "The `threaded_scheduler` runtime flavor has been renamed to `multi_thread`.",
        ),
        (
            "green",
            "No such runtime flavor `green`. \
             The runtime flavors are `current_thread`, `local`, and `multi_thread`.",
        ),
    ] {
        let literal = format!("{flavor:?}");
        assert_error(&main(), &format!("flavor = {literal}"), message, &literal);
    }
    let message = "Failed to parse value of `flavor` as string.";
    assert_error(&main(), "flavor = 5", message, "5");
}

#[test]
fn a_number_of_workers_must_be_one_and_needs_the_multi_thread_flavor() {
    assert_error(
        &main(),
        "worker_threads = 0",
        "`worker_threads` may not be 0.",
        "0",
    );
    let message = "Failed to parse value of `worker_threads` as integer.";
    assert_error(&main(), "worker_threads = \"2\"", message, "\"2\"");
    let (message, place) = argument_error(&main(), "worker_threads = 99999999999999999999999");
    assert!(message.starts_with("Failed to parse value of `worker_threads` as integer: "));
    assert_eq!(place, "99999999999999999999999");
    let message = "The `worker_threads` option requires the `multi_thread` runtime flavor. \
                   Use `#[ringway::test(flavor = \"multi_thread\")]`";
    assert_error(&test(), "worker_threads = 2", message, "2");
    assert_error(
        &test(),
        "worker_threads = 2, flavor = \"current_thread\"",
        message,
        "2",
    );
    let message = "Attribute `core_threads` is renamed to `worker_threads`";
    assert_error(&main(), "core_threads = 2", message, "core_threads = 2");
}

#[test]
fn a_paused_clock_needs_a_flavor_that_is_named() {
    let message = "The `start_paused` option requires the `current_thread` runtime flavor. \
                   Use `#[ringway::main(flavor = \"current_thread\")]`";
    assert_error(&main(), "start_paused = true", message, "true");
    let message = "Failed to parse value of `start_paused` as bool.";
    assert_error(&test(), "start_paused = 1", message, "1");
}

#[test]
fn errors_name_the_attribute_as_its_user_does() {
    let message = "Set the runtime flavor with #[tokio::main(flavor = \"multi_thread\")].";
    assert_error(
        &renamed(),
        "threaded_scheduler",
        message,
        "threaded_scheduler",
    );
}

#[test]
fn an_argument_without_a_value_is_refused() {
    let message = "Set the runtime flavor with #[ringway::main(flavor = \"current_thread\")].";
    assert_error(&main(), "basic_scheduler", message, "basic_scheduler");
    let message = "The `crate` attribute requires an argument.";
    assert_error(&main(), "crate", message, "crate");
}

#[test]
fn an_argument_given_twice_is_refused() {
    for (args, name, place) in [
        (
            "flavor = \"current_thread\", flavor = \"multi_thread\"",
            "flavor",
            "\"multi_thread\"",
        ),
        (
            "worker_threads = 1, worker_threads = 2",
            "worker_threads",
            "2",
        ),
        (
            "start_paused = true, start_paused = false",
            "start_paused",
            "false",
        ),
        ("crate = \"a\", crate = \"b\"", "crate", "\"b\""),
    ] {
        assert_error(
            &test(),
            args,
            &format!("`{name}` set multiple times."),
            place,
        );
    }
}

#[test]
fn an_unknown_argument_is_refused_with_the_known_ones() {
    let message = "Unknown attribute threads is specified; expected one of: `flavor`, \
                   `worker_threads`, `start_paused`, `crate`, `unhandled_panic`, `name`, `tokio_compat`.";
    assert_error(&main(), "threads = 2", message, "threads = 2");
    assert_error(&main(), "threads", message, "threads");
    assert_error(
        &main(),
        "flavor(x)",
        "Unknown attribute inside the macro",
        "flavor(x)",
    );
    assert_error(&main(), "a::b = 1", "Must have specified ident", "a::b = 1");
    assert_error(&main(), "name = 1 + 1", "Must be a literal", "1 + 1");
}

#[test]
fn a_path_that_is_none_is_refused() {
    let message = "Failed to parse value of `crate` as path: \"this is not a path\"";
    assert_error(
        &main(),
        "crate = \"this is not a path\"",
        message,
        "\"this is not a path\"",
    );
    let message = "Failed to parse value of `crate` as path.";
    assert_error(&main(), "crate = 456", message, "456");
}

#[test]
fn name_and_panics_and_the_local_flavour_reach_the_builder() {
    let chain = builder(&main(), quote! { name = "web" });
    assert!(
        chain.contains("new_multi_thread().name(\"web\").enable_all().build()"),
        "{chain}"
    );
    let chain = builder(
        &test(),
        quote! { unhandled_panic = "shutdown_runtime", flavor = "local" },
    );
    assert!(
        chain.contains(
            "new_current_thread().unhandled_panic(::ringway::runtime::UnhandledPanic::ShutdownRuntime)"
        ),
        "{chain}"
    );
    assert!(chain.contains("build_local("), "{chain}");
    let chain = builder(&test(), quote! { unhandled_panic = "ignore" });
    assert!(chain.contains("UnhandledPanic::Ignore"), "{chain}");
}

#[test]
fn a_name_and_a_behavior_that_the_builder_would_refuse_are_errors() {
    let message = "Failed to parse value of `name` as string.";
    assert_error(&main(), "name = 1", message, "1");
    let message = "runtime name shouldn't be empty";
    assert_error(&main(), "name = \" \"", message, "\" \"");
    let message = "No such unhandled panic behavior `x`. \
                   The unhandled panic behaviors are `ignore` and `shutdown_runtime`.";
    assert_error(&test(), "unhandled_panic = \"x\"", message, "\"x\"");
    let message = "The `unhandled_panic` option requires the `current_thread` runtime flavor. \
                   Use `#[ringway::main(flavor = \"current_thread\")]`";
    assert_error(
        &main(),
        "unhandled_panic = \"ignore\"",
        message,
        "\"ignore\"",
    );
    let message = "The `worker_threads` option requires the `multi_thread` runtime flavor. \
                   Use `#[ringway::main(flavor = \"multi_thread\")]`";
    assert_error(
        &main(),
        "flavor = \"local\", worker_threads = 2",
        message,
        "2",
    );
}

#[test]
fn multi_thread_is_refused_where_its_feature_is_off() {
    let main = Attribute {
        multi_thread: false,
        ..main()
    };
    let message = "The default runtime flavor is `multi_thread`, \
                   but the `rt-multi-thread` feature is disabled.";
    assert_eq!(argument_error(&main, "").0, message);
    let message = "The runtime flavor `multi_thread` requires the `rt-multi-thread` feature.";
    assert_error(
        &main,
        "flavor = \"multi_thread\"",
        message,
        "\"multi_thread\"",
    );
    assert!(builder(&main, quote! { flavor = "current_thread" }).contains("new_current_thread"));
}

#[test]
fn an_attribute_without_a_runtime_says_which_feature_is_missing() {
    let tokens: Vec<TokenTree> = no_runtime(Kind::Test, "tokio").into_iter().collect();
    let (message, _) = message_of(&tokens);
    assert_eq!(
        message,
        "The #[tokio::test] macro requires rt or rt-multi-thread."
    );
}

#[test]
fn main_takes_no_arguments_and_other_functions_may() {
    let (message, place) = error(&main(), "", "async fn main(x: u8) {}");
    assert_eq!(message, "the main function cannot accept arguments");
    assert_eq!(place, "main");
    let other = main().expand(TokenStream::new(), quote! { async fn other(x: u8) {} });
    assert!(!other.to_string().contains("compile_error"));
}

#[test]
fn a_function_that_is_not_async_is_refused_and_still_expanded() {
    let (message, place) = error(&main(), "", "fn main() {}");
    assert_eq!(
        message,
        "the `async` keyword is missing from the function declaration"
    );
    assert_eq!(place, "fn");
    let expanded = main()
        .expand(TokenStream::new(), quote! { fn main() {} })
        .to_string();
    assert!(
        expanded.starts_with("fn main ()"),
        "no main beside the error: {expanded}"
    );
}

#[test]
fn a_second_test_attribute_is_refused() {
    for second in [
        "#[test]",
        "#[core::prelude::v1::test]",
        "#[::std::prelude::rust_2024::test]",
    ] {
        let (message, place) = error(&test(), "", &format!("{second} async fn f() {{}}"));
        assert!(
            message.starts_with("second test attribute is supplied"),
            "{message}"
        );
        assert_eq!(place, second);
    }
    for other in ["#[::test]", "#[other::test]", "#[test(x)]"] {
        let item = format!("{other} async fn f() {{}}").parse().unwrap();
        let expanded = test().expand(TokenStream::new(), item);
        assert!(!expanded.to_string().contains("compile_error"), "{other}");
    }
}

#[test]
fn what_is_no_function_comes_back_with_an_error() {
    let expanded = main()
        .expand(TokenStream::new(), quote! { struct S; })
        .to_string();
    assert!(expanded.starts_with("struct S ;"), "{expanded}");
    assert!(expanded.contains("compile_error"), "{expanded}");
    let (message, _) = error(&main(), "", "async fn f() ()");
    assert_eq!(message, "expected curly braces");
}
