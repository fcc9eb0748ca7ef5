"""The application of the Provisioning documentation: a route that parses the posted JSON and returns it."""

import sys

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/api", methods=["POST"])
def provisioning():
    event = request.get_json()
    return jsonify(event)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
