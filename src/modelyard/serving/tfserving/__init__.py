"""TF Serving's REST API, version 1.

Source: tensorflow_serving/model_servers/http_rest_api_handler.cc and http_rest_api_util.cc (2.20) for
routes, codes and messages; g3doc/api_rest.md for the bodies. KServe's V1 gives another body at
`GET /v1/models/<name>`; TF Serving's is the one served.
"""
