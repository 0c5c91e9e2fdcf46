"""Presidio's analyzer over HTTP: POST /analyze takes {"text", "language", ...}
and answers with what is personal in it, by places in the text. It is the
contract of Presidio's own service, whose application is not in its package.

gunicorn runs it (see peer.go). ENGINE says how text is looked at: "no_op" is
patterns alone, anything else the name of a spaCy model.
"""

import json
import os

import tldextract
from flask import Flask, Response, request
from presidio_analyzer import AnalyzerEngine, AnalyzerRequest, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngineProvider

# The recogniser of e-mail addresses would get the list of top-level domains
# from the network; the package has one.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def analyzer():
    name = os.environ["ENGINE"]
    engine = "no_op" if name == "no_op" else "spacy"
    nlp = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": engine,
            "models": [{"lang_code": "en", "model_name": name}],
        }
    ).create_engine()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def create_app():
    app = Flask(__name__)
    engine = analyzer()

    @app.get("/health")
    def health():
        return "ok"

    @app.post("/analyze")
    def analyze():
        asked = AnalyzerRequest(request.get_json())
        found = engine.analyze(
            text=asked.text,
            language=asked.language,
            entities=asked.entities,
            score_threshold=asked.score_threshold,
        )
        return Response(
            json.dumps(found, default=lambda o: o.to_dict(), sort_keys=True),
            content_type="application/json",
        )

    return app
