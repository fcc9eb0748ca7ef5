//! Pages of lists.

/// Declares a page of a list: `{"items":[…],"next_cursor":…}`.
macro_rules! page {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        pub(crate) struct $name {
            /// In the list's order.
            items: Vec<$item>,
            /// The parameter `cursor` of the next page; null on the last.
            next_cursor: Option<String>,
        }

        impl $name {
            /// The page with each stored item made an item of the answer.
            pub(crate) fn of<S>(paged: baton_storage::Paged<S>, item: impl FnMut(S) -> $item) -> Self {
                Self { items: paged.items.into_iter().map(item).collect(), next_cursor: paged.next_cursor }
            }
        }
    };
}
pub(crate) use page;
