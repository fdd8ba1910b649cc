#if Serve
import FastThenFine
import Foundation
import FTFInterchange

/// What the service says of itself, as OpenAPI 3.1: every route that programs call, and what goes in and comes out.
enum OpenAPI {
  private typealias Object = [String: Any]

  /// The document, in JSON.
  ///
  /// - Parameter names: of the indexes.
  static func document(_ names: [String]) -> Data { JSON.data(whole(names)) }

  private static func whole(_ names: [String]) -> Object {
    [
      "openapi": "3.1.0",
      "info": [
        "title": "FastThenFine", "version": "1",
        "description": "Finds overhead images by a sentence or a picture. Where a token is asked for, it is sent as Authorization: Bearer.",
      ],
      "components": [
        "schemas": schemas.merging(["name": ["type": "string", "enum": names, "description": "Of an index; the first if it is left out."]]) { $1 },
        "securitySchemes": ["token": ["type": "http", "scheme": "bearer"]],
        "responses": [
          "problem": [
            "description": "It was not answered; `code` says why to programs, `detail` to people.",
            "content": ["application/problem+json": ["schema": ref("problem")]],
          ]
        ],
      ],
      "security": [[:], ["token": [String]()]],
      "paths": paths,
    ]
  }

  /// The methods that a path takes; nil where there is no such path.
  static func methods(of path: String) -> [String]? { templates.first { matches(path, $0.segments) }?.methods }

  private static let templates = paths.map { path, operations in
    let methods = ((operations as? Object) ?? [:]).keys.map { $0.uppercased() }
    return (segments: path.split(separator: "/"), methods: (methods + (methods.contains("GET") ? ["HEAD"] : [])).sorted())
  }

  private static func matches(_ path: String, _ segments: [Substring]) -> Bool {
    let given = path.split(separator: "/")
    return given.count == segments.count && zip(given, segments).allSatisfy { $0 == $1 || $1.hasPrefix("{") }
  }

  // MARK: Paths

  private static var paths: Object {
    [
      "/v1/search": [
        "post": post(
          "Search by a sentence, a picture, or an image of the index. A picture may also come as a file of multipart/form-data, or as the body.",
          ref("search"), ref("answer"))
      ],
      "/v1/index": ["get": get("What is served.", ref("index"), [index])],
      "/v1/attributes": ["get": get("What filters can choose from.", ref("attributes"), [index])],
      "/v1/images/{id}": ["get": get("What is known of an image.", ref("result"), [id, index])],
      "/v1/images/{id}/thumbnail": [
        "get": get(
          "A small picture.", nil, [id, index, parameter("size", integer(16, 1024), "Pixels of the shorter side; 224 if it is left out.")], jpeg)
      ],
      "/v1/images/{id}/view": [
        "get": get(
          "A part of the image's file, with as many of its pixels as fit.", nil,
          [id, index]
            + ["x", "y", "width", "height"].map { parameter($0, integer($0.count > 1 ? 1 : 0, nil), "Pixels of the file.", isRequired: true) }
            + [parameter("size", integer(16, 2048), "Pixels of the longer side; 1024 if it is left out.")], jpeg)
      ],
      "/v1/browse": [
        "get": get(
          "Images without a question, in an order.", ref("browsed"),
          [
            index, parameter("order", ["type": "string", "enum": ["newest", "oldest", "place", "path", "random"]], "newest if it is left out."),
            parameter("seed", integer(0, Int(Int32.max)), "Of the random order."),
            parameter("top", integer(1, SearchRequest.mostResults), "24 if it is left out."),
            parameter("offset", integer(0, SearchRequest.mostOffset), "Images before them that are left out."),
            parameter("filter", ["type": "string"], "A condition on attributes."), parameter("bbox", ["type": "string"], "west,south,east,north"),
          ])
      ],
      "/v1/images/{id}/heatmap": [
        "get": get(
          "Where a sentence is found in an image: over its picture, or as shares of a grid.", nil,
          [
            id, index, parameter("q", ["type": "string", "minLength": 1, "maxLength": 1000], "The sentence.", isRequired: true),
            parameter("word", ["type": "string", "minLength": 1, "maxLength": 100], "A word of the sentence, which alone looks."),
            parameter("format", ["type": "string", "enum": ["jpeg", "json"]], "json for the grid."),
          ], jpeg.merging(["application/json": ["schema": ref("heat")]]) { $1 })
      ],
      "/v1/images/{id}/original": [
        "get": get("The file that was indexed, or a range of its bytes.", nil, [id, index], originals)
      ],
      "/v1/embeddings": ["post": post("Vectors, as OpenAI's API has them.", ref("embeddings"), ref("vectors"))],
      "/v1/models": ["get": get("The models, as OpenAI's API has it.", ["type": "object", "required": ["data"]])],
      "/v1/models/{model}": [
        "get": get(
          "A model.", ["type": "object", "required": ["id"]],
          [["name": "model", "in": "path", "required": true, "schema": ["type": "string"]]])
      ],
      "/v1/rerank": ["post": post("Images of the index by a sentence, as Cohere's and Jina's APIs have it.", ref("rerank"), ref("ranking"))],
      "/v2/rerank": ["post": post("The same, as Cohere's second API has it: without the documents.", ref("rerank"), ref("ranking"))],
      "/knn-service": ["post": post("clip-retrieval's search.", ref("neighbours"), ["type": "array", "items": ["type": "object"]])],
      "/indices-list": ["get": get("clip-retrieval's: the names of the indexes.", ["type": "array", "items": ref("name")])],
      "/collections": ["get": get("STAC: a collection for each index.", ["type": "object", "required": ["collections", "links"]])],
      "/collections/{collection}": ["get": get("STAC: the collection.", ["type": "object", "required": ["id", "links"]], [collection])],
      "/queryables": ["get": get("STAC: what conditions may name.", nil, [], schema)],
      "/collections/{collection}/queryables": ["get": get("STAC: what conditions may name.", nil, [collection], schema)],
      "/collections/{collection}/items/{id}": ["get": get("STAC: an image.", nil, [collection, id], feature)],
      "/conformance": ["get": get("STAC: what is kept to.", ["type": "object", "required": ["conformsTo"]])],
      "/collections/{collection}/items": ["get": get("STAC: the images of a collection.", nil, [collection] + itemSearch, features)],
      "/search": [
        "get": get("STAC: items by a sentence, place, time and attributes.", nil, itemSearch, features),
        "post": operation("STAC: items by a sentence, place, time and attributes.", features, body: ref("stac")),
      ],
      "/livez": ["get": get("That it lives.", nil, [], plain)],
      "/readyz": ["get": get("Whether it takes requests.", ref("health"))],
      "/health": ["get": get("Whether it takes requests.", ref("health"))],
      "/metrics": ["get": get("Counts for Prometheus.", nil, [], plain)],
    ]
  }

  private static func operation(_ summary: String, _ content: Object, _ parameters: [Object] = [], body: Object? = nil) -> Object {
    var responses: Object = ["200": ["description": "It was answered.", "content": content] as Object]
    for status in ["400", "401", "404", "405", "408", "413", "416", "417", "421", "422", "429", "500", "501", "503"] {
      responses[status] = ["$ref": "#/components/responses/problem"]
    }
    var operation: Object = ["summary": summary, "responses": responses]
    if !parameters.isEmpty { operation["parameters"] = parameters }
    if let body { operation["requestBody"] = ["required": true, "content": ["application/json": ["schema": body]]] as Object }
    return operation
  }

  private static func get(_ summary: String, _ schema: Object?, _ parameters: [Object] = [], _ content: Object = [:]) -> Object {
    operation(summary, schema.map { ["application/json": ["schema": $0]] } ?? content, parameters)
  }

  private static func post(_ summary: String, _ body: Object, _ answer: Object) -> Object {
    operation(summary, ["application/json": ["schema": answer]], body: body)
  }

  private static func parameter(_ name: String, _ schema: Object, _ about: String, isRequired: Bool = false) -> Object {
    ["name": name, "in": "query", "required": isRequired, "schema": schema, "description": about]
  }

  private static var id: Object {
    ["name": "id", "in": "path", "required": true, "schema": integer(0, nil), "description": "Of an image of the index."]
  }
  private static var collection: Object { ["name": "collection", "in": "path", "required": true, "schema": ref("name")] }
  private static var named: Object { ["anyOf": [ref("name"), ["type": "null"]]] }
  private static var index: Object { ["name": "index", "in": "query", "required": false, "schema": ref("name")] }
  private static var itemSearch: [Object] {
    [
      parameter("q", ["type": "string"], "A sentence, which ranks."), parameter("bbox", ["type": "string"], "west,south,east,north"),
      parameter("datetime", ["type": "string"], "A time, or two with / between."), parameter("filter", ["type": "string"], "A condition."),
      parameter("filter-lang", ["type": "string", "enum": ["cql2-text", "cql2-json"]], "How the condition is written."),
      parameter("filter-crs", ["type": "string"], "CRS84."),
      parameter("sortby", ["type": "string"], "Names of attributes, - before one for falling."),
      parameter("fields", ["type": "string"], "What is sent of items, - before what is not."),
      parameter("limit", integer(1, Int(Int32.max)), "Items of a page, at most 1000."),
      parameter("token", ["type": "string"], "Where a page begins."), parameter("ids", ["type": "string"], "Ids, with commas between."),
      parameter("collections", ["type": "string"], "Names, with commas between."),
      parameter("intersects", ["type": "string"], "A GeoJSON geometry."),
    ]
  }
  private static var schema: Object { ["application/schema+json": ["schema": ["type": "object"]]] }
  private static var binary: Object { [:] }
  private static var originals: Object {
    let kinds = ["jpeg", "png", "tiff", "webp", "jp2"].map { "image/\($0)" } + ["application/xml", "application/octet-stream"]
    return Dictionary(uniqueKeysWithValues: kinds.map { ($0, binary) })
  }
  private static var jpeg: Object { ["image/jpeg": binary] }
  private static var plain: Object { ["text/plain": ["schema": ["type": "string"]]] }
  private static var feature: Object { ["application/geo+json": ["schema": ref("item")]] }
  private static var features: Object { ["application/geo+json": ["schema": ref("items")]] }

  // MARK: Schemas

  private static func ref(_ name: String) -> Object { ["$ref": "#/components/schemas/\(name)"] }

  private static func text(_ least: Int, _ about: String? = nil) -> Object {
    var schema: Object = ["type": "string", "minLength": least, "maxLength": SearchRequest.longestText]
    schema["description"] = about
    return schema
  }

  private static func integer(_ least: Int, _ most: Int?) -> Object {
    var schema: Object = ["type": "integer", "minimum": least]
    schema["maximum"] = most
    return schema
  }

  private static func numbers(_ count: Int, _ about: String) -> Object {
    ["type": ["array", "null"], "items": ["type": "number"], "minItems": count, "maxItems": count, "description": about]
  }

  /// What may be left out may also be null.
  private static func optional(_ type: String, _ about: String, _ more: Object = [:]) -> Object {
    ["type": [type, "null"], "description": about].merging(more) { $1 }
  }

  private static func object(_ required: [String], _ properties: Object) -> Object {
    ["type": "object", "required": required, "properties": properties]
  }

  private static var image: Object {
    ["type": "string", "minLength": 1, "description": "A JPEG or PNG file as base64 or a data URL. Addresses are not fetched."]
  }
  private static var number: Object { ["type": "number"] }

  private static var schemas: Object {
    [
      "problem": object(
        ["type", "title", "status", "code", "detail"],
        ["type": text(0), "title": text(0), "status": integer(400, 599), "code": text(1), "detail": ["type": "string"]]),
      "search": object(
        [],
        [
          "index": named, "text": text(1, "What to look for."), "image": image,
          "examples": [
            "type": "array", "minItems": 1, "maxItems": 64, "description": "Several at once: the sum of their vectors times their weights.",
            "items": object(
              [], ["text": text(1), "image": image, "id": integer(0, nil), "weight": ["type": "number", "minimum": -100, "maximum": 100]]
            )
            .merging(["additionalProperties": false, "oneOf": ["text", "image", "id"].map { ["required": [$0]] }]) { $1 },
          ],
          "id": integer(0, nil).merging(["description": "More like this image of the index."]) { $1 },
          "top": optional("integer", "Results at most; 10, and at most \(SearchRequest.mostResults) but for lists.", ["minimum": 1]),
          "offset": optional("integer", "Results before them that are left out.", ["minimum": 0, "maximum": SearchRequest.mostOffset]),
          "format": [
            "type": ["string", "null"], "enum": ["json"] + ResultsFormat.allCases.map(\.rawValue) + [NSNull()] as [Any],
            "description": "All results as a list.",
          ],
          "candidates": optional("integer", "Of recall's best, how many are reranked.", ["minimum": 1, "maximum": 10_000]),
          "interaction": [
            "type": ["string", "null"], "enum": InteractionMode.allCases.map(\.rawValue) + [NSNull()] as [Any],
            "description": "How they are reranked.",
          ],
          "unlike": [
            "type": ["array", "null"], "items": integer(0, nil), "maxItems": SearchRequest.mostUnlike,
            "description": "Images of the index that the results should not be like.",
          ],
          "recall_only": optional("boolean", "Leaves the rerank out."),
          "min_probability": optional("number", "Leaves out what shows it with a smaller chance."),
          "all_windows": optional("boolean", "Also windows that overlap and say the same."),
          "filter": optional("string", "A condition on attributes: year >= 2020 and sensor = 'a'."),
          "bbox": numbers(4, "west, south, east, north, in degrees."), "near": numbers(3, "Longitude, latitude, kilometres."),
        ]
      ).merging(["oneOf": ["text", "image", "id", "examples"].map { ["required": [$0]] }]) { $1 },
      "result": object(
        ["rank", "id", "path", "score", "recall_score", "recall_rank", "attributes"],
        [
          "rank": integer(0, nil), "id": integer(0, nil), "path": ["type": "string"], "score": number, "recall_score": number,
          "recall_rank": integer(0, nil),
          "probability": ["type": "number", "minimum": 0, "maximum": 1], "attributes": ["type": "object"],
          "window": [
            "type": "array", "items": integer(0, nil), "minItems": 4, "maxItems": 4, "description": "x, y, width, height in pixels of the scene.",
          ],
          "bands": ["type": "string", "description": "By what red, green and blue are known, where the scene does not say it itself."],
          "extent": ["type": "array", "items": integer(1, nil), "minItems": 2, "maxItems": 2, "description": "Of the scene, in pixels."],
          "geometry": ["type": "object"], "centre": ["type": "array", "items": number, "minItems": 2, "maxItems": 2], "datetime": ["type": "string"],
          "path_bytes": ["type": "string"],
        ]),
      "answer": object(
        ["query", "encode_ms", "recall_ms", "rerank_ms", "results"],
        [
          "query": ["type": "string"], "encode_ms": number, "recall_ms": number, "rerank_ms": number,
          "nothing_fits": ["type": "number", "minimum": 0, "maximum": 1, "description": "The chance that the best result does not show it either."],
          "results": ["type": "array", "items": ref("result")],
        ]),
      "browsed": object(["results", "matched"], ["results": ["type": "array", "items": ref("result")], "matched": integer(0, nil)]),
      "index": object(
        ["name", "images", "model", "dimension", "suggestions", "indexes"],
        [
          "name": ref("name"), "indexes": ["type": "array", "items": object(["name", "images"], ["name": ref("name"), "images": integer(0, nil)])],
          "tiles": ["type": "string"], "images": integer(0, nil), "model": ["type": "string"], "dimension": integer(1, nil),
          "suggestions": ["type": "array", "items": ["type": "string"]],
        ]),
      "attributes": object(
        ["attributes"],
        [
          "attributes": [
            "type": "array",
            "items": object(
              ["name"],
              [
                "name": ["type": "string"], "least": number, "most": number, "histogram": ["type": "array", "items": integer(0, nil)],
                "values": ["type": "array", "items": object(["value", "count"], ["value": ["type": "string"], "count": integer(1, nil)])],
                "distinct": integer(1, nil),
              ]),
          ]
        ]),
      "heat": object(
        ["id", "query", "score", "grid"],
        [
          "id": integer(0, nil), "query": ["type": "string"], "score": number,
          "grid": ["type": "array", "items": ["type": "array", "items": number]],
        ]),
      "embeddings": object(
        ["input"],
        [
          "index": named,
          "input": ["oneOf": [ref("input"), ["type": "array", "items": ref("input"), "minItems": 1, "maxItems": SearchService.mostInputs]]],
          "encoding_format": ["type": ["string", "null"], "enum": ["float", "base64", NSNull()] as [Any]],
          "dimensions": optional("integer", "As many as the model has."), "model": ["type": ["string", "null"]],
          "user": ["type": ["string", "null"]],
        ]),
      "input": ["oneOf": [text(0), object(["image"], ["image": ["type": "string"]])]],
      "vectors": object(
        ["object", "data", "model", "usage"],
        [
          "data": [
            "type": "array",
            "items": object(
              ["embedding", "index"],
              [
                "embedding": ["type": ["array", "string"], "items": number], "index": integer(0, nil),
                "error": object(["code", "detail"], ["code": text(1), "detail": ["type": "string"]]),
              ]),
          ]
        ]),
      "rerank": object(
        ["query", "documents"],
        [
          "index": named, "query": text(1),
          "documents": [
            "type": "array", "minItems": 1, "maxItems": 10_000,
            "items": ["oneOf": [["type": "integer"], ["type": "string", "pattern": "^[0-9]{1,18}$"], object(["id"], ["id": ["type": "integer"]])]],
          ], "top_n": optional("integer", "Results at most.", ["minimum": 1, "maximum": 10_000]),
        ]),
      "ranking": object(
        ["id", "model", "results"],
        ["results": ["type": "array", "items": object(["index", "relevance_score"], ["index": integer(0, nil), "relevance_score": number])]]),
      "neighbours": object(
        [],
        [
          "indice_name": ["type": ["string", "null"], "description": "An index, where there are several."], "text": text(1), "image": image,
          "embedding_input": ["type": "array", "items": number, "description": "A vector of the model's."],
          "num_images": optional("integer", "Results at most; 40.", ["minimum": 1, "maximum": 1_000_000]),
        ]
      ).merging(["oneOf": ["text", "image", "embedding_input"].map { ["required": [$0]] }]) { $1 },
      "stac": object(
        [],
        [
          "q": ["type": ["string", "array", "null"], "items": ["type": "string"]],
          "bbox": ["type": ["array", "null"], "items": number, "minItems": 4, "maxItems": 6, "description": "west, south, east, north."],
          "datetime": optional("string", "A time, or two with / between."),
          "filter": ["type": ["string", "object", "null"], "description": "A condition, in CQL2's text or JSON."],
          "filter-lang": ["type": ["string", "null"], "enum": ["cql2-text", "cql2-json", NSNull()] as [Any]],
          "filter-crs": ["type": ["string", "null"]], "intersects": ["type": ["object", "null"], "description": "A GeoJSON geometry."],
          "sortby": [
            "type": ["array", "null"], "maxItems": 8,
            "items": object(["field"], ["field": ["type": "string"], "direction": ["type": "string", "enum": ["asc", "desc"]]]),
          ],
          "fields": [
            "type": ["object", "null"],
            "properties": Dictionary(uniqueKeysWithValues: ["include", "exclude"].map { ($0, ["type": "array", "items": ["type": "string"]]) }),
          ],
          "limit": optional("integer", "Items of a page, at most 1000.", ["minimum": 1, "maximum": Int(Int32.max)]),
          "token": optional("string", "Where a page begins."), "collections": ["type": ["array", "null"], "items": ["type": "string"]],
          "ids": ["type": ["array", "null"], "items": ["type": "string"]],
        ]),
      "item": object(["type", "id"], ["type": ["const": "Feature"], "id": ["type": "string"]]),
      "items": object(
        ["type", "features", "links"], ["type": ["const": "FeatureCollection"], "features": ["type": "array", "items": ref("item")]]),
      "health": object(["status", "images"], ["status": ["const": "ok"], "images": integer(0, nil)]),
    ]
  }
}
#endif
