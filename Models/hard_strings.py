"""Strings that a tokenizer gets wrong first: accents, CJK, emoji, control characters, very long words."""

HARD = [
    "", " ", "\t\n\r", "naïve café Ångström ÉÈÊ ñ ç ß ø", "İstanbul ıI ﬁ ﬂ Ǆ", "北京的机场 東京 서울 ひらがな カタカナ",
    "🚀🏖️👩‍👩‍👧 planes ✈️ 🛩", "a\u0000b\u0007c\u200bd\u00ade\ufefff\ufffdg", "e\u0301 a\u0308 o\u0302\u0323",
    "don't stop—it's “fine”… 3.14 1,000 #tag @me a_b c-d", "x" * 100, "x" * 101, "y" * 10000, "the plane " * 1000,
    "[CLS] a [SEP] b [MASK] [PAD] [UNK] [cls] [MASK]s", "привет мир Здравствуйте", "مرحبا بالعالم שלום", "नमस्ते दुनिया",
    "ไทย ภาษา", "Ⅷ ① ½ ² ₂ ℃ № ™", "\u3000ideographic\u3000space\u00a0nbsp\u2028line\u2029para", "a\u0345b ΐ Σίσυφος ΣΑΣ",
    "𝒜𝓁𝓅𝒽𝒶 𠀀𠀁 𝟘𝟙", "\ue000 private \U000f0000", "\u0378 unassigned \U0001fae8 \U0001f9ff", "ǅ ﷺ ﬀ", "~`!@#$%^&*()_+-={}|[]\\:\";'<>?,./",
    "¡¿§¶†‡•‰′″‹›⁄", "$+<=>^`|~ ¢£¤¥ ¬±×÷", "a\u20ddb \u0903c", "CamelCaseWord ALLCAPS mixED123abc 123abc456",
]
