"""Green IT: what a company's IT emits and consumes, from raw inventories and bills to reported figures."""
