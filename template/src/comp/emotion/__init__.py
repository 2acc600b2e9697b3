"""Facial emotion: what it needs beside the images."""
