// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/repo_id.h"

#include <catch2/catch.hpp>

namespace qeff::hub {
namespace {

TEST_CASE("ids are read with and without prefix and revision") {
  struct Case {
    const char* text;
    const char* name;
    const char* revision;
    const char* folder;
  };
  const Case cases[] = {
      {"org/name", "org/name", "main", "models--org--name"},
      {"hf://org/name", "org/name", "main", "models--org--name"},
      {"hf://Qwen/Qwen2.5-0.5B@v1.0", "Qwen/Qwen2.5-0.5B", "v1.0", "models--Qwen--Qwen2.5-0.5B"},
      {"gpt2", "gpt2", "main", "models--gpt2"},
      {"a_b/c.d-e@refs/pr/1", "a_b/c.d-e", "refs/pr/1", "models--a_b--c.d-e"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.text);
    Result<RepoId> id = ParseRepoId(test.text);
    REQUIRE(id.ok());
    CHECK(id->name == test.name);
    CHECK(id->revision == test.revision);
    CHECK(id->CacheFolderName() == test.folder);
  }
}

TEST_CASE("bad_ids are errors of the command line") {
  const std::string long_name(97, 'a');
  for (const std::string& text :
       {std::string(), std::string("/abs/olute"), std::string("a/b/c"), std::string("a//b"),
        std::string("../up"), std::string("org/.."), std::string("org/na..me"),
        std::string("org/na--me"), std::string("org/name "), std::string("org/n\xc3\xa4me"),
        std::string("-org/name"), std::string("org/name."), std::string("hf://"),
        std::string("org/"), std::string("/name"), std::string("org/name\0x", 10),
        std::string("org\\name"), long_name}) {
    CAPTURE(text);
    Result<RepoId> id = ParseRepoId(text);
    REQUIRE_FALSE(id.ok());
    CHECK(id.diagnostic().code == ErrorCode::kUsage);
  }
  REQUIRE(ParseRepoId("a/b/c").diagnostic().ToString() ==
          "MODEL: error: 'a/b/c' is not a model id\nnote: give a checkpoint folder, or a model id "
          "such as "
          "'org/name' or 'org/name@revision'");
}

TEST_CASE("bad_revisions are errors of the command line, and never lead out of refs") {
  for (const char* revision : {"", "../../x", "/etc/passwd", "a//b", "a/", "a b", ".git", "a@b"}) {
    CAPTURE(revision);
    Result<RepoId> id = ParseRepoId(std::string("org/name@") + revision);
    REQUIRE_FALSE(id.ok());
    CHECK(id.diagnostic().code == ErrorCode::kUsage);
    CHECK(id.diagnostic().message.find("is not a revision") != std::string::npos);
  }
}

}  // namespace
}  // namespace qeff::hub
